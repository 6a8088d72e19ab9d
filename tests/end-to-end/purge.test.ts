import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import t, { type Test } from 'tap';
import { connectToNats } from '../../nats/connect.ts';
import { provision } from '../../nats/provision.ts';
import { COUNTER, INCREMENTS } from '../../nats/streams.ts';
import { commandsOn } from '../mesh/cli/run-command.ts';
import { untilTotal } from '../support/counters.ts';
import { hearCounters } from '../support/counter-heartbeats.ts';
import { post, send } from '../support/load.ts';
import { startServers, type Servers } from '../support/servers.ts';
import { startCounter, startGateway, type Service } from '../support/services.ts';
import { until } from '../support/until.ts';

const KEY = '86f1fe5b-6dc7-45cb-9837-9e84757f5246';
const FLUSH_INTERVAL_MS = 3_000;
const SETTINGS = { FLUSH_INTERVAL_MS: String(FLUSH_INTERVAL_MS) };

// They wait more than they compute.
t.jobs = 2;

void t.test('what counters hold is committed though the stream is purged by hand', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: FLUSH_INTERVAL_MS });
  const gateway = await startGateway(t, servers);
  const counters = [
    await startCounter(t, servers, SETTINGS),
    await startCounter(t, servers, SETTINGS),
  ];
  for (const value of [1, 10, 100]) {
    t.equal((await post(gateway.url, { key: KEY, value })).status, 200);
  }
  await until('deliveries', servers.inspect, isDelivered);
  await (await openManager(t, servers)).streams.purge(INCREMENTS);

  await untilTotal(servers.database, 111);
  t.equal((await post(gateway.url, { key: KEY, value: 1_000 })).status, 200);
  await untilTotal(servers.database, 1_111);
  await until('a settled stream', servers.inspect, ({ messages }) => messages === 0);
  for (const counter of counters) t.strictSame(errorsOf(counter), [], 'nothing is gone');
  t.equal((await commandsOn(servers)('audit')).code, 0);
});

void t.test('counters name what was purged uncounted, and go on by one command', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: FLUSH_INTERVAL_MS });
  const gateway = await startGateway(t, servers);
  const counter = await startCounter(t, servers, SETTINGS);
  const heartbeats = await hearCounters(t, servers);
  const manager = await openManager(t, servers);
  const run = commandsOn(servers);
  await manager.consumers.pause(INCREMENTS, COUNTER, new Date(Date.now() + 3_600_000));
  const paused = await heartbeats.until(
    'the pause',
    (seen) => seen.counting_problem_kind === 'consumer-paused',
  );
  t.equal(paused.setting_faults, undefined, 'said once');
  for (const value of [1, 10, 100]) {
    t.equal((await post(gateway.url, { key: KEY, value })).status, 200);
  }
  // With them goes a message of an idle gateway, perhaps.
  await manager.streams.purge(INCREMENTS);
  await manager.consumers.resume(INCREMENTS, COUNTER);

  // That the consumer was paused may be said, too.
  const disagreements = () => errorsOf(counter).filter((line) => line.startsWith('nothing'));
  const [said] = await until('an error', disagreements, ({ length }) => length > 0);
  t.match(
    said,
    /^nothing is counted: \d+ of the messages \d+ to \d+ left the stream.*purged by hand/,
  );
  const { counting_problem: problem } = await heartbeats.until(
    'a report',
    (seen) => seen.counting_problem_kind === 'stores-disagree',
  );
  t.match(problem, /^\d+ of the messages \d+ to \d+ left the stream/);
  const findings = async () =>
    (JSON.parse((await send(`${gateway.url}/readyz`)).body) as { findings: { name: string }[] })
      .findings;
  await until('a gateway that names it', findings, (found) =>
    found.some(({ name }) => name === 'StoresDisagree'),
  );
  t.match(await run('status'), {
    code: 1,
    output: /✗ \d+ of the messages \d+ to \d+ left the stream.*wait in the stream, uncounted/s,
  });
  t.equal((await post(gateway.url, { key: KEY, value: 1_000 })).status, 200);

  t.match(await run('accept-loss'), { code: 2, error: /pass --yes to confirm/ });
  const accepted = await run('accept-loss --yes');
  t.match(accepted, { code: 0, output: /^\d+ of the messages \d+ to \d+ left the stream/ });
  await untilTotal(servers.database, 1_000);
  t.equal(disagreements().length, 1, 'said once');
  t.equal(await counter.stop(), 0, 'by the same process');
  t.match(await run('accept-loss --yes'), { code: 0, output: /nothing is gone/ });
});

void t.test('what a counter holds is committed though the stream is made again', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: 9_000 });
  const gateway = await startGateway(t, servers);
  const counter = await startCounter(t, servers);
  const manager = await openManager(t, servers);
  for (const value of [1, 10]) {
    t.equal((await post(gateway.url, { key: KEY, value })).status, 200);
  }
  await until('deliveries', servers.inspect, isDelivered);
  await manager.streams.delete(INCREMENTS);
  const url = servers.urls.nats.provisioner;
  await provision({ url, replicas: 1, flushIntervalMs: 9_000 });
  const stored = () => post(gateway.url, { key: KEY, value: 100 }, { 'idempotency-key': 'new' });
  await until('the new stream', stored, ({ status }) => status === 200);

  t.equal(await counter.exited, 1);
  t.match(counter.errors(), /^counter: the stream was made again.*commits what it holds/);
  await untilTotal(servers.database, 11);
  await startCounter(t, servers, { FLUSH_INTERVAL_MS: '300' });
  await untilTotal(servers.database, 111);
});

void t.test('what a counter holds is committed though its consumer is deleted', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: FLUSH_INTERVAL_MS });
  const gateway = await startGateway(t, servers);
  const counter = await startCounter(t, servers, SETTINGS);
  const heartbeats = await hearCounters(t, servers);
  const manager = await openManager(t, servers);
  const increment = (value: number) => post(gateway.url, { key: KEY, value });
  t.equal((await increment(1)).status, 200);
  await until('a delivery', servers.inspect, isDelivered);
  await manager.consumers.delete(INCREMENTS, COUNTER);

  t.equal((await increment(10)).status, 200);
  await untilTotal(servers.database, 1);
  const missing = /^The consumer counter is not there, so nothing is counted/;
  await until(
    'an error',
    () => errorsOf(counter),
    (said) => said.some((line) => missing.test(line)),
  );
  await heartbeats.until('a report', (seen) => seen.counting_problem_kind === 'consumer-gone');
  t.match(await commandsOn(servers)('status'), {
    code: 1,
    output: /✗ The consumer of the stream is not there/,
  });
  const url = servers.urls.nats.provisioner;
  await provision({ url, replicas: 1, flushIntervalMs: FLUSH_INTERVAL_MS });
  await untilTotal(servers.database, 11);
  t.equal(await counter.stop(), 0, 'by the same process');
});

/** All that is in the stream, perhaps with messages of an idle gateway. */
function isDelivered({ messages, ackPending }: { messages: number; ackPending: number }): boolean {
  return messages > 0 && ackPending === messages;
}

async function openManager(t: Test, servers: Servers): Promise<JetStreamManager> {
  const url = servers.urls.nats.provisioner;
  const connection = await connectToNats({ url, role: 'provisioner' });
  t.teardown(() => connection.close());
  return jetstreamManager(connection, { checkAPI: false });
}

function errorsOf(counter: Service): string[] {
  return counter.log.filter(({ level }) => level >= 50).map(({ msg }) => msg);
}
