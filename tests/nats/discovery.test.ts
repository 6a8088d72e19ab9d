import t from 'tap';
import type { NatsConnection } from '@nats-io/transport-node';
import { connectToNats } from '../../nats/connect.ts';
import { answerDiscovery, discoverServices, identify } from '../../nats/discovery.ts';
import { startNats } from '../../mesh/servers/nats.ts';
import { findFreePort } from '../../mesh/servers/ports.ts';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endWithUs } from '../support/end-with-us.ts';

/** The rules of ADR-32 for every answer. */
const IDENTITY = {
  id: /^\w+$/,
  version: /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[\w.-]+)?$/,
  metadata: { host: 'here' },
};
const ENDPOINT = { name: 'increments', subject: 'increments.>', queue_group: 'counter' };

void t.test('services answer discovery as ADR-32 has it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'increment-mesh-test-'));
  const server = await startNats({
    folder,
    port: await findFreePort(),
    passwords: { gateway: 'gw', counter: 'ct', inspector: 'is', provisioner: 'pv', operator: 'op' },
  });
  endWithUs(server);
  const connections: NatsConnection[] = [];
  const connect = async (role: 'gateway' | 'counter' | 'inspector') => {
    const connection = await connectToNats({ url: server.urls[role], role });
    connections.push(connection);
    return connection;
  };
  t.teardown(async () => {
    for (const connection of connections) await connection.close();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const inspector = await connect('inspector');
  t.strictSame(await discoverServices(inspector), [], 'nobody is there yet');
  const started = Date.now();
  const service = (name: 'gateway' | 'counter') => ({
    ...identify(),
    name,
    description: 'Does its work',
    metadata: { host: 'here' },
    endpoint: { name: 'increments', subject: 'increments.>', queueGroup: 'counter', metadata: {} },
    readWork: () => ({
      requests: 3,
      errors: 1,
      lastError: 'not counted',
      processingMs: 10,
      stats: { keys_held: 5 },
    }),
  });
  const stop = answerDiscovery(await connect('counter'), service('counter'));
  answerDiscovery(await connect('counter'), service('counter'));
  answerDiscovery(await connect('gateway'), service('gateway'));
  for (const connection of connections) await connection.flush();

  const ask = async (subject: string) => {
    const answers: any[] = [];
    const options = { strategy: 'stall', maxWait: 1_000 } as const;
    for await (const message of await inspector.requestMany(subject, '', options)) {
      answers.push(message.json());
    }
    return answers;
  };

  const pings = await ask('$SRV.PING');
  t.equal(pings.length, 3);
  for (const ping of pings) {
    t.matchOnlyStrict(ping, { type: 'io.nats.micro.v1.ping_response', name: String, ...IDENTITY });
  }
  t.equal(new Set(pings.map(({ id }) => id)).size, 3, 'each has an id of its own');
  t.equal((await ask('$SRV.PING.counter')).length, 2);

  const [{ id }] = await ask('$SRV.PING.gateway');
  const infos = await ask(`$SRV.INFO.gateway.${id}`);
  t.equal(infos.length, 1);
  t.matchOnlyStrict(infos[0], {
    type: 'io.nats.micro.v1.info_response',
    name: 'gateway',
    ...IDENTITY,
    description: 'Does its work',
    endpoints: [{ ...ENDPOINT, metadata: {} }],
  });

  const [stats] = await ask('$SRV.STATS.gateway');
  t.matchOnlyStrict(stats, {
    type: 'io.nats.micro.v1.stats_response',
    name: 'gateway',
    ...IDENTITY,
    started: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
    endpoints: [
      {
        ...ENDPOINT,
        num_requests: 3,
        num_errors: 1,
        last_error: 'not counted',
        processing_time: 10_000_000,
        average_processing_time: 3_333_333,
        data: { keys_held: 5 },
      },
    ],
  });
  t.ok(Date.parse(stats.started) >= started);

  const names = async () => (await discoverServices(inspector)).map(({ name }) => name);
  t.strictSame(await names(), ['gateway', 'counter', 'counter']);
  stop();
  t.strictSame(await names(), ['gateway', 'counter'], 'one that stopped does not answer');
});
