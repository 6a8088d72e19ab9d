import { sql } from 'kysely';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { freeze } from '../support/freeze.ts';
import { differences, makeKeys, readCounters, readTotal, untilTotal } from '../support/counters.ts';
import { drive, post, total } from '../support/load.ts';
import { startServers, type Servers } from '../support/servers.ts';
import { startCounter, startGateway } from '../support/services.ts';
import { until } from '../support/until.ts';

const INTERVAL_MS = 1_000;
const FAST = { FLUSH_INTERVAL_MS: String(INTERVAL_MS) };

void t.test(
  'kill -9 of a counter while it collects loses nothing and counts nothing twice',
  async (t) => {
    const servers = await startServers(t);
    const gateway = await startGateway(t, servers);
    const counter = await startCounter(t, servers, { FLUSH_INTERVAL_MS: '9000' });
    const [key = ''] = makeKeys(1);
    for (let count = 0; count < 20; count++) await post(gateway.url, { key, value: 3 });
    await until(
      'pending deliveries',
      () => readAckPending(servers),
      (pending) => pending > 0,
    );

    counter.kill('SIGKILL');
    await counter.exited;
    t.equal(await readTotal(servers.database), '0', 'it was killed before its first flush');
    await startCounter(t, servers, { FLUSH_INTERVAL_MS: '9000' });
    await untilTotal(servers.database, 60, 20_000);
  },
);

void t.test(
  'kill -9 of a counter before its commit loses nothing and counts nothing twice',
  async (t) => {
    const servers = await startServers(t, { flushIntervalMs: INTERVAL_MS });
    const gateway = await startGateway(t, servers);
    const counter = await startCounter(t, servers, FAST);
    const [key = ''] = makeKeys(1);
    await post(gateway.url, { key, value: 1 });
    await untilTotal(servers.database, 1);

    // A lock on the row holds the next flush in the middle of its transaction.
    const locked = await holdRow(servers, key);
    await post(gateway.url, { key, value: 10 });
    await until(
      'a flush that waits',
      () => countWaiting(servers),
      (waiting) => waiting === 1,
    );
    counter.kill('SIGKILL');
    await counter.exited;
    await locked.release();

    await startCounter(t, servers, FAST);
    await untilTotal(servers.database, 11);
  },
);

void t.test('kill -9 of a counter between commit and ack counts nothing twice', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: INTERVAL_MS });
  const gateway = await startGateway(t, servers);
  const counter = await startCounter(t, servers, FAST);
  const [key = ''] = makeKeys(1);
  await post(gateway.url, { key, value: 7 });
  await untilDelivered(servers);

  // A frozen broker takes no purge and no ack, while the transaction goes on.
  await freeze(servers.nats);
  await untilTotal(servers.database, 7);
  counter.kill('SIGKILL');
  await counter.exited;
  servers.nats.kill('SIGCONT');
  t.equal(await readStreamMessages(servers), 1, 'the message was not acknowledged');

  const next = await startCounter(t, servers, FAST);
  await until(
    'the acknowledgement',
    () => readStreamMessages(servers),
    (messages) => messages === 0,
  );
  t.equal(await readTotal(servers.database), '7');
  t.equal(await next.stop(), 0);
});

void t.test(
  'SIGTERM of all services under load loses nothing and leaves nothing pending',
  async (t) => {
    const servers = await startServers(t);
    const gateway = await startGateway(t, servers);
    const counters = [await startCounter(t, servers), await startCounter(t, servers)];
    const ending = new AbortController();
    const load = drive({
      urls: [gateway.url],
      keys: makeKeys(50),
      connections: 16,
      signal: ending.signal,
    });
    await delay(1_500);
    t.equal(await gateway.stop(), 0);
    ending.abort();
    const { accepted } = await load;
    const codes = await Promise.all(counters.map((counter) => counter.stop()));
    t.strictSame(codes, [0, 0]);
    t.ok(total(accepted) > 0);
    t.strictSame(
      differences(await readCounters(servers.database), accepted),
      [],
      'committed at the stop',
    );
    t.equal(await readStreamMessages(servers), 0, 'acknowledged at the stop');
  },
);

void t.test('a counter that stops takes what was stored just before', async (t) => {
  const servers = await startServers(t);
  const gateway = await startGateway(t, servers);
  const [key = ''] = makeKeys(1);
  for (let stored = 2; stored <= 10; stored += 2) {
    const counter = await startCounter(t, servers);
    await post(gateway.url, { key, value: 1 });
    // It has taken all there was, and so asks for no more for a while.
    await untilDelivered(servers);
    await post(gateway.url, { key, value: 1 });
    t.equal(await counter.stop(), 0);
    t.equal(await readTotal(servers.database), String(stored));
  }
});

void t.test('a counter frozen in the middle of a flush does not stop the other', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: INTERVAL_MS });
  const gateway = await startGateway(t, servers);
  const frozen = await startCounter(t, servers, FAST);
  const [key = '', other = ''] = makeKeys(2).toSorted();
  for (const each of [key, other]) await post(gateway.url, { key: each, value: 1 });
  await untilTotal(servers.database, 2);

  // It waits for the second row while it holds the first, and is frozen there.
  const locked = await holdRow(servers, other);
  for (const each of [key, other]) await post(gateway.url, { key: each, value: 10 });
  await until(
    'a flush that waits',
    () => countWaiting(servers),
    (waiting) => waiting === 1,
  );
  await freeze(frozen);
  await locked.release();

  await startCounter(t, servers, FAST);
  await post(gateway.url, { key, value: 100 });
  await untilTotal(servers.database, 122);
  frozen.kill('SIGCONT');
  await until(
    'the frozen counter',
    () => readStreamMessages(servers),
    (messages) => messages === 0,
  );
  t.equal(await readTotal(servers.database), '122', 'thawed, it counts nothing twice');
});

/** Resolves when a counter has the one message that waits. */
function untilDelivered(servers: Servers): Promise<number> {
  return until(
    'a delivery',
    () => readAckPending(servers),
    (pending) => pending === 1,
  );
}

/** Locks a counter's row until it is released. */
async function holdRow(servers: Servers, key: string): Promise<{ release: () => Promise<void> }> {
  const locked = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const done = servers.database.transaction().execute(async (transaction) => {
    await sql`select 1 from increments where key = ${key} for update`.execute(transaction);
    locked.resolve();
    await released.promise;
  });
  await locked.promise;
  return {
    release: () => {
      released.resolve();
      return done;
    },
  };
}

async function countWaiting(servers: Servers): Promise<number> {
  const { rows } = await sql<{ waiting: number }>`
    select count(*)::int as waiting from pg_stat_activity
    where datname = current_database()
      and usename = 'mesh_counter' and wait_event_type = 'Lock'`.execute(servers.database);
  return rows[0]?.waiting ?? 0;
}

async function readAckPending(servers: Servers): Promise<number> {
  return (await servers.inspect()).ackPending;
}

async function readStreamMessages(servers: Servers): Promise<number> {
  return (await servers.inspect()).messages;
}
