import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { freeze } from '../support/freeze.ts';
import { differences, makeKeys, readCounters } from '../support/counters.ts';
import { drive, post, send, total, type LoadResult } from '../support/load.ts';
import { startServers } from '../support/servers.ts';
import { startCounter, startGateway } from '../support/services.ts';
import { until } from '../support/until.ts';

const FAST = { FLUSH_INTERVAL_MS: '1000' };
/** Each waits between two requests: what is tested is the outage. */
const CLIENTS = { connections: 8, pauseMs: 50 };

// They wait more than they compute.
t.jobs = 3;

void t.test('the broker killed with kill -9 under load: every 200 is counted once', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: 1_000 });
  const gateways = [await startGateway(t, servers), await startGateway(t, servers)];
  for (let count = 0; count < 2; count++) await startCounter(t, servers, FAST);
  const ending = new AbortController();
  const urls = gateways.map(({ url }) => url);
  const load = drive({ ...CLIENTS, urls, keys: makeKeys(50), signal: ending.signal });

  for (let round = 0; round < 2; round++) {
    await delay(1_500);
    servers.nats.kill('SIGKILL');
    await servers.restartNats();
  }
  await delay(1_500);
  ending.abort();
  const result = await load;
  const table = await until(
    'a quiet stream',
    () => servers.inspect(),
    ({ messages }) => messages === 0,
    30_000,
  ).then(() => readCounters(servers.database));
  t.ok(total(result.accepted) > 100, 'there was a load');
  t.strictSame(
    outside(table, result),
    [],
    'sums are those of the 200s, plus unknown outcomes at most',
  );
});

void t.test('PostgreSQL stopped and started under load: every 200 is counted once', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: 1_000, ownPostgres: true });
  const gateway = await startGateway(t, servers);
  for (let count = 0; count < 2; count++) await startCounter(t, servers, FAST);
  const ending = new AbortController();
  const load = drive({
    ...CLIENTS,
    urls: [gateway.url],
    keys: makeKeys(50),
    signal: ending.signal,
  });
  await delay(1_500);
  await servers.postgres.stop();
  await until(
    'a gateway that accepts increments and says that the database is away',
    () => send(`${gateway.url}/readyz`),
    ({ status, body }) => status === 200 && /"database":"away"/.test(body),
    10_000,
  );
  const [key = ''] = makeKeys(1);
  t.equal((await send(`${gateway.url}/counters/${key}`)).status, 503, 'reads are not');

  await servers.restartPostgres();
  servers.postgres.kill('SIGQUIT');
  await servers.restartPostgres();
  await delay(1_000);
  ending.abort();
  const result = await load;
  t.strictSame([...result.statuses.keys()], [200], 'no request was refused');
  await until(
    'a quiet stream',
    () => servers.inspect(),
    ({ messages }) => messages === 0,
    30_000,
  );
  t.strictSame(differences(await readCounters(servers.database), result.accepted), []);
});

void t.test(
  'with the broker away a request gets a 503 in time, and the gateway recovers',
  async (t) => {
    const servers = await startServers(t, { flushIntervalMs: 500 });
    const gateway = await startGateway(t, servers, { PUBLISH_DEADLINE_MS: '1000' });
    const [key = ''] = makeKeys(1);
    t.equal((await post(gateway.url, { key, value: 1 })).status, 200);

    await freeze(servers.nats);
    const startedAt = performance.now();
    const slow = await post(gateway.url, { key, value: 1 });
    t.equal(slow.status, 503);
    t.ok(slow.headers['retry-after'], 'it says when to come again');
    t.match(JSON.parse(slow.body), { code: 'outcome-unknown' });
    t.ok(performance.now() - startedAt < 2_000, 'within the deadline');
    servers.nats.kill('SIGCONT');
    await until(
      'a 200',
      () => post(gateway.url, { key, value: 1 }),
      ({ status }) => status === 200,
    );

    servers.nats.kill('SIGKILL');
    await servers.nats.exited;
    await until(
      'not ready',
      () => send(`${gateway.url}/readyz`),
      ({ status }) => status === 503,
    );
    const away = await post(gateway.url, { key, value: 1 });
    t.equal(away.status, 503);
    t.match(JSON.parse(away.body), { code: 'broker-unavailable' });
    await servers.restartNats();
    await until(
      'ready again',
      () => send(`${gateway.url}/readyz`),
      ({ status }) => status === 200,
    );
    t.equal((await post(gateway.url, { key, value: 1 })).status, 200);
  },
);

/** Keys whose value is below what was accepted, or above it by more than the unknown outcomes. */
function outside(table: Map<string, string>, { accepted, unknown }: LoadResult) {
  const found: { key: string; value: number; accepted: number; unknown: number }[] = [];
  for (const key of new Set([...table.keys(), ...accepted.keys()])) {
    const value = Number(table.get(key) ?? 0);
    const least = accepted.get(key) ?? 0;
    const most = least + (unknown.get(key) ?? 0);
    if (value < least || value > most)
      found.push({ key, value, accepted: least, unknown: most - least });
  }
  return found;
}
