import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import t, { type Test } from 'tap';
import { connectToNats } from '../../nats/connect.ts';
import { claimStream, provision } from '../../nats/provision.ts';
import { COUNTER, INCREMENTS } from '../../nats/streams.ts';
import { provisionDatabase } from '../../mesh/database/provision-database.ts';
import { readDatabaseId, readDatabaseIdAt } from '../../schema/database/database-id.ts';
import { DEFAULT_SCHEMA } from '../../schema/database/database-names.ts';
import { commandsOn } from '../mesh/cli/run-command.ts';
import { untilTotal } from '../support/counters.ts';
import { hearCounters } from '../support/counter-heartbeats.ts';
import { post, send } from '../support/load.ts';
import { startServers, type Servers } from '../support/servers.ts';
import { startCounter, startGateway, launchService } from '../support/services.ts';
import { openStreams } from '../support/stream.ts';
import { until } from '../support/until.ts';

const KEY = '86f1fe5b-6dc7-45cb-9837-9e84757f5246';

// They wait more than they compute.
t.jobs = 2;

void t.test('a setting that is changed while the mesh runs is named by all of it', async (t) => {
  const servers = await startServers(t);
  const gateway = await startGateway(t, servers);
  const counter = await startCounter(t, servers);
  const heartbeats = await hearCounters(t, servers);
  const manager = await openManager(t, servers);
  const ready = () => send(`${gateway.url}/readyz`);
  await until('ready', ready, ({ status }) => status === 200);

  await manager.streams.update(INCREMENTS, { max_age: 600e9 });
  await manager.consumers.update(INCREMENTS, COUNTER, { max_batch: 700 });
  const errors = () => counter.log.filter(({ level }) => level === 50).map(({ msg }) => msg);
  const said = await until('errors', errors, ({ length }) => length === 2);
  t.match(
    said[0],
    /^The stream INCREMENTS has max_age 600 s and must have none, so that the stream keeps/,
  );
  t.match(
    said[1],
    /^The consumer counter has max_batch 700 and must have none, so that counter services/,
  );
  const { setting_faults: faults } = await heartbeats.until(
    'a report',
    ({ setting_faults: seen }) => seen?.length === 2,
  );
  t.strictSame(
    faults,
    said.map((line) => line.slice(0, 300)),
  );
  const unready = await until('not ready', ready, ({ status }) => status === 503);
  t.match(JSON.parse(unready.body), { status: 'not ready', stream: 'unsafe' });
  // Who sends all the same gets a 200, so nothing may say that it would be refused.
  const sent = await post(gateway.url, { key: KEY, value: 1 });
  t.equal(sent.status, 200);
  const { findings } = JSON.parse(unready.body) as { findings: { name: string; effect: string }[] };
  const unsafe = findings.find(({ name }) => name === 'StreamUnsafe');
  t.match(unsafe?.effect, /answered 200/);
  t.notMatch(unsafe?.effect, /refused/);
  t.ok(
    gateway.log.some(({ msg }) => msg.includes('max_age 600 s')),
    'and it says why',
  );
  t.match(await commandsOn(servers)('status'), {
    code: 1,
    output: /✗ The stream .* max_age 600 s/,
  });

  await provision({ url: servers.urls.nats.provisioner, replicas: 1, flushIntervalMs: 9_000 });
  await until('ready again', ready, ({ status }) => status === 200);
  t.equal(errors().length, 2, 'said once each');
  await heartbeats.until('none', ({ setting_faults: seen }) => seen === undefined);
});

void t.test('what comes without its body is counted once that is taken back', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: 300 });
  const gateway = await startGateway(t, servers);
  const counter = await startCounter(t, servers, { FLUSH_INTERVAL_MS: '300' });
  const streams = await openStreams(t, servers);
  const manager = await openManager(t, servers);
  await manager.consumers.update(INCREMENTS, COUNTER, { headers_only: true });
  t.equal((await post(gateway.url, { key: KEY, value: 1 })).status, 200);
  const warnings = () => counter.log.filter(({ msg }) => msg.includes('has headers_only'));
  await until('a warning', warnings, ({ length }) => length > 0);
  await provision({ url: servers.urls.nats.provisioner, replicas: 1, flushIntervalMs: 300 });
  await untilTotal(servers.database, 1);
  t.strictSame(await streams.readDeadLetters(), [], 'nothing is a dead letter');

  await streams.store('', { 'Nats-Msg-Size': '5' });
  const letters = () => streams.readDeadLetters();
  await until('a dead letter of who only says so', letters, ({ length }) => length === 1);
});

void t.test('a mesh on the stream of another is not ready', async (t) => {
  const first = await startServers(t);
  const second = await startServers(t);
  const counting = await startCounter(t, first, { FLUSH_INTERVAL_MS: '300' });
  const gateway = await startGateway(t, first);
  // Nothing was counted or removed yet.
  const url = first.urls.nats.provisioner;
  await claimStream({ url }, await readDatabaseId(first.database));
  await claimStream({ url }, await readDatabaseId(second.database));
  await provision({ url, replicas: 1, flushIntervalMs: 9_000 });

  const wrong = { NATS_URL: first.urls.nats.gateway };
  const stranger = await startGateway(t, second, wrong);
  const counter = await launchService(t, 'counter', {
    NATS_URL: first.urls.nats.counter,
    DATABASE_URL: second.urls.counterDatabase,
  });
  const errors = () => counter.log.filter(({ level }) => level === 50).map(({ msg }) => msg);
  const [said = ''] = await until('an error', errors, ({ length }) => length > 0);
  t.match(said, /this database never knew the stream: another mesh counts it/);
  t.notMatch(said, /insert into|accept-loss/, 'no offer to go on');
  const ready = () => send(`${stranger.url}/readyz`);
  const unready = await until('not ready', ready, ({ status }) => status === 503);
  t.match(JSON.parse(unready.body), { stream: 'unsafe' });
  t.equal((await post(gateway.url, { key: KEY, value: 1 })).status, 200);
  await untilTotal(first.database, 1);
  t.equal((await send(`${gateway.url}/readyz`)).status, 200, 'the first mesh is not affected');
  t.equal(await counter.stop(), 0);

  await t.test('nor is one in another schema of the same database', async (t) => {
    const { ownerDatabase: ownerUrl, gatewayDatabase, counterDatabase } = first.urls;
    const serviceUrls = { gateway: gatewayDatabase, counter: counterDatabase };
    await provisionDatabase({ ownerUrl, schema: 'staging', serviceUrls, passwords: {} });
    t.not(
      await readDatabaseIdAt(counterDatabase, 'staging'),
      await readDatabaseIdAt(counterDatabase, DEFAULT_SCHEMA),
    );
    const staging = await launchService(t, 'counter', {
      NATS_URL: first.urls.nats.counter,
      DATABASE_URL: counterDatabase,
      DATABASE_SCHEMA: 'staging',
    });
    const said = () => staging.log.map(({ msg }) => msg);
    const isRefused = (lines: string[]) => lines.some((one) => /another mesh counts it/.test(one));
    await until('an error', said, isRefused);
    t.equal(await staging.stop(), 0);
  });
  t.equal(await counting.stop(), 0);
});

async function openManager(t: Test, servers: Servers): Promise<JetStreamManager> {
  const url = servers.urls.nats.provisioner;
  const connection = await connectToNats({ url, role: 'provisioner' });
  t.teardown(() => connection.close());
  return jetstreamManager(connection, { checkAPI: false });
}
