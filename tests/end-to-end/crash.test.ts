import { sql } from 'kysely';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { freeze } from '../support/freeze.ts';
import {
  differences,
  makeKeys,
  readCounter,
  readCounters,
  untilCounted,
} from '../support/counters.ts';
import { drive, post, total } from '../support/load.ts';
import { startServers, type Servers } from '../support/servers.ts';
import { startCounter, startGateway, type Service } from '../support/services.ts';
import { until } from '../support/until.ts';

/** Each test begins with the counter that the one before it has left running. */
interface Mesh {
  servers: Servers;
  gateway: Service;
  counter: Service;
  start: () => Promise<Service>;
}

// They wait more than they compute.
t.jobs = 2;

void t.test('a counter that is killed or frozen in the middle of a flush', async (t) => {
  const mesh = await startMesh(t, 1_000);
  const { servers, gateway } = mesh;

  await t.test('before its commit, loses nothing and counts nothing twice', async (t) => {
    const [key = ''] = makeKeys(1);
    await post(gateway.url, { key, value: 1 });
    await untilCounted(servers.database, key, 1);

    // A lock on the row holds the next flush in the middle of its transaction.
    const locked = await holdRow(servers, key);
    await post(gateway.url, { key, value: 10 });
    await untilFlushWaits(servers);
    await kill(mesh.counter);
    await locked.release();

    mesh.counter = await mesh.start();
    await untilCounted(servers.database, key, 11);
    await untilQuiet(servers);
    t.equal(await readCounter(servers.database, key), '11');
  });

  await t.test('between commit and ack, counts nothing twice', async (t) => {
    const [key = ''] = makeKeys(1);
    await post(gateway.url, { key, value: 1 });
    await untilCounted(servers.database, key, 1);
    await untilQuiet(servers);

    // A frozen broker takes no purge and no ack, while the transaction goes on.
    const locked = await holdRow(servers, key);
    await post(gateway.url, { key, value: 7 });
    await untilFlushWaits(servers);
    await freeze(servers.nats);
    await locked.release();
    await untilCounted(servers.database, key, 8);
    await kill(mesh.counter);
    servers.nats.kill('SIGCONT');
    t.equal((await servers.inspect()).messages, 1, 'the message was not acknowledged');

    mesh.counter = await mesh.start();
    await untilQuiet(servers);
    t.equal(await readCounter(servers.database, key), '8');
  });

  await t.test('does not stop the other', async (t) => {
    const frozen = mesh.counter;
    const [key = '', other = ''] = makeKeys(2).toSorted();
    for (const each of [key, other]) await post(gateway.url, { key: each, value: 1 });
    for (const each of [key, other]) await untilCounted(servers.database, each, 1);

    // It waits for the second row while it holds the first, and is frozen there.
    const locked = await holdRow(servers, other);
    for (const each of [key, other]) await post(gateway.url, { key: each, value: 10 });
    await untilFlushWaits(servers);
    await freeze(frozen);
    await locked.release();

    mesh.counter = await mesh.start();
    await post(gateway.url, { key, value: 100 });
    await untilCounted(servers.database, key, 111);
    await untilCounted(servers.database, other, 11);
    frozen.kill('SIGCONT');
    await untilQuiet(servers);
    const counted = [
      await readCounter(servers.database, key),
      await readCounter(servers.database, other),
    ];
    t.strictSame(counted, ['111', '11'], 'thawed, it counts nothing twice');
  });

  t.equal(await mesh.counter.stop(), 0);
});

void t.test('a counter that is killed or stopped while it collects', async (t) => {
  const mesh = await startMesh(t, 4_000);
  const { servers, gateway } = mesh;

  await t.test('kill -9 loses nothing and counts nothing twice', async (t) => {
    const [key = ''] = makeKeys(1);
    await Promise.all(Array.from({ length: 20 }, () => post(gateway.url, { key, value: 3 })));
    await until('a delivery', servers.inspect, ({ ackPending }) => ackPending > 0);

    await kill(mesh.counter);
    t.equal(await readCounter(servers.database, key), '0', 'it was killed before its first flush');
    mesh.counter = await mesh.start();
    await untilCounted(servers.database, key, 60);
    await untilQuiet(servers);
  });

  await t.test('a stop takes what was stored just before', async (t) => {
    const [key = ''] = makeKeys(1);
    for (let stored = 2; stored <= 6; stored += 2) {
      await post(gateway.url, { key, value: 1 });
      // It has taken all there was, and so asks for no more for a while.
      await untilDelivered(servers);
      await post(gateway.url, { key, value: 1 });
      t.equal(await mesh.counter.stop(), 0);
      t.equal(await readCounter(servers.database, key), String(stored));
      mesh.counter = await mesh.start();
    }
  });

  await t.test(
    'SIGTERM of all services under load loses nothing and leaves nothing pending',
    async (t) => {
      const counters = [mesh.counter, await mesh.start()];
      const keys = makeKeys(50);
      const ending = new AbortController();
      const urls = [gateway.url];
      const load = drive({ urls, keys, connections: 16, pauseMs: 5, signal: ending.signal });
      await delay(1_500);
      t.equal(await gateway.stop(), 0);
      ending.abort();
      const { accepted } = await load;
      const codes = await Promise.all(counters.map((counter) => counter.stop()));
      t.strictSame(codes, [0, 0]);
      t.ok(total(accepted) > 0);
      const table = await readCounters(servers.database);
      const ours = new Map([...table].filter(([key]) => keys.includes(key)));
      t.strictSame(differences(ours, accepted), [], 'committed at the stop');
      t.equal((await servers.inspect()).messages, 0, 'acknowledged at the stop');
    },
  );
});

async function startMesh(t: Test, flushIntervalMs: number): Promise<Mesh> {
  const servers = await startServers(t, { flushIntervalMs });
  const start = () => startCounter(t, servers, { FLUSH_INTERVAL_MS: String(flushIntervalMs) });
  return { servers, gateway: await startGateway(t, servers), counter: await start(), start };
}

async function kill(service: Service): Promise<void> {
  service.kill('SIGKILL');
  await service.exited;
}

/** Resolves when a counter has the one message that waits. */
async function untilDelivered(servers: Servers): Promise<void> {
  await until('a delivery', servers.inspect, ({ ackPending }) => ackPending === 1);
}

async function untilQuiet(servers: Servers): Promise<void> {
  await until('a quiet stream', servers.inspect, ({ messages }) => messages === 0);
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

async function untilFlushWaits(servers: Servers): Promise<void> {
  const countWaiting = async () => {
    const { rows } = await sql<{ waiting: number }>`
      select count(*)::int as waiting from pg_stat_activity
      where datname = current_database()
        and usename = 'mesh_counter' and wait_event_type = 'Lock'`.execute(servers.database);
    return rows[0]?.waiting;
  };
  await until('a flush that waits', countWaiting, (waiting) => waiting === 1);
}
