import { setTimeout as delay } from 'node:timers/promises';
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import t, { type Test } from 'tap';
import { connectToNats, watchConnection } from '../../nats/connect.ts';
import { provision } from '../../nats/provision.ts';
import { createPuller } from '../../nats/pull.ts';
import { findConsumerFaults, findStreamFaults } from '../../nats/settings.ts';
import { COUNTER, INCREMENTS } from '../../nats/streams.ts';
import { startServers, type Servers } from '../support/servers.ts';
import { openStreams } from '../support/stream.ts';
import { isThere, until } from '../support/until.ts';

const OPTIONS = { replicas: 1, flushIntervalMs: 9_000 };

void t.test('three replicas on one server are refused, with what to do', async (t) => {
  const servers = await startServers(t);
  const url = servers.urls.nats.provisioner;
  await t.rejects(provision({ url, replicas: 3, flushIntervalMs: 9_000 }), {
    name: 'ProvisionError',
    message: /can't keep 3 replicas of INCREMENTS .*: give it a cluster .*, or set REPLICAS=1/,
  });
});

void t.test('provisioning takes back every setting that breaks a promise', async (t) => {
  const servers = await startServers(t);
  const url = servers.urls.nats.provisioner;
  const manager = await openManager(t, servers);
  const { created } = await manager.streams.info(INCREMENTS);
  await manager.streams.update(INCREMENTS, {
    max_msgs_per_subject: 100,
    max_msgs: 1_000,
    max_age: 60e9,
    max_msg_size: 1_000,
    no_ack: true,
    allow_rollup_hdrs: true,
    discard_new_per_subject: true,
    duplicate_window: 1e9,
    republish: { src: 'increments.>', dest: 'copy.>' },
    subject_transform: { src: 'increments.x', dest: 'increments.y' },
  });
  await manager.consumers.update(INCREMENTS, COUNTER, {
    filter_subject: 'increments.none',
    max_batch: 1,
    max_bytes: 10,
    max_expires: 1e9,
    max_deliver: 2,
    headers_only: true,
    inactive_threshold: 3_600e9,
    max_ack_pending: 5,
    ack_wait: 1e9,
  });
  await manager.consumers.pause(INCREMENTS, COUNTER, new Date(Date.now() + 3_600_000));
  const found = async () => [
    ...findStreamFaults((await manager.streams.info(INCREMENTS)).config),
    ...findConsumerFaults(await manager.consumers.info(INCREMENTS, COUNTER), 12_000),
  ];
  t.strictSame((await found()).map(({ name }) => name).toSorted(), [
    'ack_wait',
    'allow_rollup_hdrs',
    'discard_new_per_subject',
    'filter_subject',
    'headers_only',
    'inactive_threshold',
    'max_ack_pending',
    'max_age',
    'max_batch',
    'max_bytes',
    'max_deliver',
    'max_expires',
    'max_msg_size',
    'max_msgs',
    'max_msgs_per_subject',
    'no_ack',
    'pause_until',
    'republish',
    'subject_transform',
  ]);
  await provision({ url, ...OPTIONS });
  t.strictSame(await found(), []);
  t.equal((await manager.streams.info(INCREMENTS)).created, created, 'it is the same stream');
});

void t.test('a consumer of another kind is made again, whoever else does it', async (t) => {
  const servers = await startServers(t);
  const manager = await openManager(t, servers);
  await manager.consumers.delete(INCREMENTS, COUNTER);
  await manager.consumers.add(INCREMENTS, {
    durable_name: COUNTER,
    ack_policy: 'explicit',
    deliver_subject: 'pushed',
  });
  // Each finds it, and deletes it.
  const url = servers.urls.nats.provisioner;
  await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(() => provision({ url, ...OPTIONS })));
  const consumer = await manager.consumers.info(INCREMENTS, COUNTER);
  t.strictSame(findConsumerFaults(consumer, 12_000), []);
});

void t.test('a consumer that others delete while it is provisioned is made again', async (t) => {
  const servers = await startServers(t);
  const manager = await openManager(t, servers);
  const { config } = await manager.consumers.info(INCREMENTS, COUNTER);
  let isDone = false;
  /** As a provisioning does that found a consumer of another kind, and is a step behind. */
  const makeAgain = async () => {
    while (!isDone) {
      await manager.consumers.delete(INCREMENTS, COUNTER);
      // The server refuses it where both add it in the same millisecond.
      await manager.consumers
        .add(INCREMENTS, config)
        .catch(() => manager.consumers.add(INCREMENTS, config));
      await delay(10);
    }
  };
  const others = makeAgain();
  const url = servers.urls.nats.provisioner;
  for (let round = 0; round < 20; round++) await provision({ url, ...OPTIONS });
  isDone = true;
  await others;
  t.pass('each provisioning ends well');
});

void t.test('what the consumer has passed over is delivered once it is provisioned', async (t) => {
  const servers = await startServers(t);
  const manager = await openManager(t, servers);
  const { store } = await openStreams(t, servers);
  const skipping = [{ filter_subject: 'increments.none' }, { max_deliver: 1, ack_wait: 100e6 }];
  for (const settings of skipping) {
    const sequence = await store('{}');
    await manager.consumers.update(INCREMENTS, COUNTER, settings);
    await take(servers);
    await until('no delivery', servers.inspect, ({ ackPending }) => ackPending === 0);
    t.strictSame(await take(servers), [], 'passed over');

    await provision({ url: servers.urls.nats.provisioner, ...OPTIONS });
    t.match(await take(servers), [sequence], Object.keys(settings).join());
    await manager.streams.purge(INCREMENTS);
  }
});

void t.test('a stream stays the same one through updates and restarts of its broker', async (t) => {
  const servers = await startServers(t);
  const url = servers.urls.nats.provisioner;
  const { readState } = await openStreams(t, servers);
  const { incarnation } = await readState();
  const manager = await openManager(t, servers);
  // The second restart shows what an update after the first one has changed.
  for (const round of [1, 2]) {
    servers.nats.kill('SIGTERM');
    await servers.restartNats();
    await until('the broker', () => readState().catch(() => undefined), isThere);
    await manager.streams.update(INCREMENTS, { description: `edited ${round}` });
    await provision({ url, ...OPTIONS });
    t.equal((await readState()).incarnation, incarnation);
  }
});

void t.test('what a stream can only get when it is made is refused by name', async (t) => {
  const servers = await startServers(t);
  const url = servers.urls.nats.provisioner;
  const manager = await openManager(t, servers);
  await manager.streams.delete(INCREMENTS);
  await manager.streams.add({ name: INCREMENTS, subjects: ['increments.>'], storage: 'memory' });
  await t.rejects(provision({ url, ...OPTIONS }), {
    name: 'ProvisionError',
    message:
      /^The stream INCREMENTS has storage memory and must have file, so that an increment is on disk before its 200: .*`nats stream rm` and `npm run provision`\. .* has retention limits/,
  });
  await manager.streams.delete(INCREMENTS);
  await provision({ url, ...OPTIONS });
  await manager.streams.update(INCREMENTS, { sealed: true } as object);
  await t.rejects(provision({ url, ...OPTIONS }), /INCREMENTS has sealed true and must have none/);
});

/** Takes what is delivered and acknowledges nothing. @returns the sequences. */
async function take(servers: Servers): Promise<number[]> {
  const connection = await connectToNats({ url: servers.urls.nats.counter, role: 'counter' });
  const puller = createPuller(connection, watchConnection(connection));
  const taken: number[] = [];
  const limits = { messagesMax: 10, bytesMax: 1024 * 1024, expiresMs: 1_000 };
  await puller.pull(limits, ({ sequence }) => taken.push(sequence));
  await connection.close();
  return taken;
}

async function openManager(t: Test, servers: Servers): Promise<JetStreamManager> {
  const url = servers.urls.nats.provisioner;
  const connection = await connectToNats({ url, role: 'provisioner' });
  t.teardown(() => connection.close());
  return jetstreamManager(connection, { checkAPI: false });
}
