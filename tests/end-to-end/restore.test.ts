import { execFileSync } from 'node:child_process';
import { randomUUIDv7 } from 'node:crypto';
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { jetstream } from '@nats-io/jetstream';
import t, { type Test } from 'tap';
import { connectToNats } from '../../nats/connect.ts';
import { provision } from '../../nats/provision.ts';
import { REPLAY_SUBJECT } from '../../nats/streams.ts';
import { encodeEnvelope, encodeIncrement } from '../../schema/message/envelope.ts';
import { commandsOn } from '../mesh/cli/run-command.ts';
import { untilTotal } from '../support/counters.ts';
import { post } from '../support/load.ts';
import { readMetrics, sumSamples } from '../support/metrics.ts';
import { startServers, type Servers } from '../support/servers.ts';
import { launchService, startCounter, startGateway, type Service } from '../support/services.ts';
import { until } from '../support/until.ts';

const KEY = '86f1fe5b-6dc7-45cb-9837-9e84757f5246';
const SOON = { FLUSH_INTERVAL_MS: '300' };
/** Longer than the broker takes to be restored. */
const HELD_MS = 5_000;

// They wait more than they compute.
t.jobs = 2;

void t.test('both stores, copied together, are exact where they are restored', async (t) => {
  const servers = await startServers(t, { ownPostgres: true });
  await count(t, servers, [5, 6]);
  await store(servers, [7]);
  await stopServers(servers);
  backUp(servers, 'nats', 'postgres');
  await startAgain(servers);
  await count(t, servers, [100]);

  await stopServers(servers);
  restore(servers, 'nats', 'postgres');
  await startAgain(servers);
  await count(t, servers, []);
  await untilTotal(servers.database, 5 + 6 + 7);
  await count(t, servers, [1]);
  await untilTotal(servers.database, 5 + 6 + 7 + 1);
  t.equal((await commandsOn(servers)('audit')).code, 0, 'the books balance');
});

void t.test('counters refuse a database that is older than the stream', async (t) => {
  const servers = await startServers(t, { ownPostgres: true });
  await count(t, servers, [5]);
  await stopServers(servers);
  backUp(servers, 'postgres');
  await startAgain(servers);
  await count(t, servers, [6]);
  await stopServers(servers);
  restore(servers, 'postgres');
  await startAgain(servers);

  const { counter, said } = await refusal(t, servers);
  t.match(said, /the database went back in time.*Restore the newer database.*accept-loss/);
  await store(servers, [7]);
  await untilTotal(servers.database, 5);

  const accepted = await commandsOn(servers)('accept-loss --yes');
  t.match(accepted, { code: 0, output: /^1 of the messages 1 to 2 left the stream/ });
  await untilTotal(servers.database, 5 + 7);
  t.equal(await counter.stop(), 0, 'the same counter goes on');
});

void t.test('counters refuse a stream that is older than the database', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: HELD_MS });
  await count(t, servers, [5]);
  await backUpNats(servers);
  await count(t, servers, [6]);
  const holding = await hold(t, servers, 10);
  await restoreNats(servers);
  await untilTotal(servers.database, 5 + 6 + 10);
  t.match(errorsOf(holding), [/^nothing is counted: .* the stream went back in time/]);
  t.equal(await holding.stop(), 0, 'what a counter held is committed');

  const { counter, said } = await refusal(t, servers);
  t.match(said, /the stream went back in time.*To make the stream again: .*accept-loss/);

  const accepted = await commandsOn(servers)('accept-loss --yes');
  t.match(accepted, { code: 0, output: /the stream is made again, and 0 messages in it/ });
  await store(servers, [7]);
  await untilTotal(servers.database, 5 + 6 + 10 + 7);
  t.equal(await counter.stop(), 0, 'the same counter goes on');
});

void t.test('a stream that went back and has grown again is refused', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: HELD_MS });
  await count(t, servers, [5]);
  await backUpNats(servers);
  const counter = await hold(t, servers, 6);
  await restoreNats(servers);
  // It gets the sequence of the one that is held.
  await store(servers, [7]);

  await untilTotal(servers.database, 5 + 6);
  const said = () => errorsOf(counter);
  const [line] = await until('an error', said, ({ length }) => length > 0);
  t.match(line, /Message 2 is counted or held, and the stream has another one in its place/);
  const accepted = await commandsOn(servers)('accept-loss --yes');
  t.match(accepted, { code: 0, output: /has another one .* 1 message in it, counted or not, is/ });
});

void t.test(
  'nothing of a stream that has another message in the place of a held one is removed',
  async (t) => {
    const servers = await startServers(t, { flushIntervalMs: HELD_MS });
    await count(t, servers, [5]);
    await backUpNats(servers);
    const counter = await hold(t, servers, 6);
    await restoreNats(servers);
    // The last of them is as the database would expect it.
    await store(servers, [7, 8]);

    const [line] = await until(
      'an error',
      () => errorsOf(counter),
      ({ length }) => length > 0,
    );
    t.match(line, /Message 2 is counted or held, and the stream has another one in its place/);
    await untilTotal(servers.database, 5 + 6);
    t.equal((await servers.inspect()).messages, 2);
  },
);

void t.test('a counter takes no message of a new stream for one of the old', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: 1_500 });
  const gateway = await startGateway(t, servers);
  const counter = await startCounter(t, servers, { FLUSH_INTERVAL_MS: '1500' });
  t.equal((await post(gateway.url, { key: KEY, value: 1 })).status, 200);
  // The broker may count a delivery that it dies with.
  await untilHeld(counter);
  servers.nats.kill('SIGKILL');
  await servers.nats.exited;
  await untilTotal(servers.database, 1);

  // Committed and not yet acknowledged, it is known by its sequence; the next has the same one.
  rmSync(join(servers.folder, 'nats'), { recursive: true });
  await servers.restartNats();
  await provision({ url: servers.urls.nats.provisioner, replicas: 1, flushIntervalMs: 1_500 });
  const once = { 'idempotency-key': 'again' };
  const again = () => post(gateway.url, { key: KEY, value: 10 }, once);
  await until('the new stream', again, ({ status }) => status === 200);
  t.equal(await Promise.race([counter.exited, delay(30_000, 'still running')]), 1);
  t.match(counter.errors(), /^counter: the stream was made again/);
  await startCounter(t, servers, SOON);
  await untilTotal(servers.database, 1 + 10);
});

/** Stores increments that no counter takes yet, one message each. */
async function store(servers: Servers, values: number[]): Promise<void> {
  const url = servers.urls.nats.provisioner;
  const connection = await connectToNats({ url, role: 'provisioner' });
  const client = jetstream(connection);
  for (const value of values) {
    const increment = encodeIncrement({ key: KEY, value });
    await client.publish(REPLAY_SUBJECT, encodeEnvelope(randomUUIDv7(), [increment]));
  }
  await connection.close();
}

/** Has increments counted and settled. */
async function count(t: Test, servers: Servers, values: number[]): Promise<void> {
  await store(servers, values);
  const counter = await startCounter(t, servers, SOON);
  await until('the stream is settled', servers.inspect, ({ messages }) => messages === 0);
  t.equal(await counter.stop(), 0);
}

/** A counter that holds an increment, for HELD_MS. */
async function hold(t: Test, servers: Servers, value: number): Promise<Service> {
  const counter = await startCounter(t, servers, { FLUSH_INTERVAL_MS: String(HELD_MS) });
  await store(servers, [value]);
  await untilHeld(counter);
  return counter;
}

async function untilHeld({ metrics }: Service): Promise<void> {
  const held = async () => sumSamples(await readMetrics(metrics), 'counter_messages_held');
  await until('a message that is held', held, (count) => count === 1);
}

function errorsOf({ log }: Service): string[] {
  return log.filter(({ level }) => level >= 50).map(({ msg }) => msg);
}

/** A counter that counts nothing, and what it says of that. */
async function refusal(t: Test, servers: Servers): Promise<{ counter: Service; said: string }> {
  const { nats, counterDatabase } = servers.urls;
  const counter = await launchService(t, 'counter', {
    NATS_URL: nats.counter,
    DATABASE_URL: counterDatabase,
    ...SOON,
  });
  const said = () => counter.log.filter(({ level }) => level === 50).map(({ msg }) => msg);
  const [line = ''] = await until('an error', said, ({ length }) => length > 0);
  await delay(2_500);
  t.equal(said().length, 1, 'it says so once, and stays');
  t.notOk(counter.hasEnded());
  return { counter: { ...counter, url: '' }, said: line };
}

type Store = 'nats' | 'postgres';

async function stopServers({ nats, postgres }: Servers): Promise<void> {
  await Promise.all([nats.stop(), postgres.stop()]);
}

async function startAgain(servers: Servers): Promise<void> {
  await Promise.all([servers.restartNats(), servers.restartPostgres()]);
}

async function backUpNats(servers: Servers): Promise<void> {
  await servers.nats.stop();
  backUp(servers, 'nats');
  await servers.restartNats();
}

async function restoreNats(servers: Servers): Promise<void> {
  servers.nats.kill('SIGKILL');
  await servers.nats.exited;
  restore(servers, 'nats');
  await servers.restartNats();
}

function backUp({ folder }: Servers, ...stores: Store[]): void {
  for (const store of stores) {
    execFileSync('cp', ['-a', join(folder, store), join(folder, `${store}.copy`)]);
  }
}

function restore({ folder }: Servers, ...stores: Store[]): void {
  for (const store of stores) {
    rmSync(join(folder, store), { recursive: true });
    renameSync(join(folder, `${store}.copy`), join(folder, store));
  }
}
