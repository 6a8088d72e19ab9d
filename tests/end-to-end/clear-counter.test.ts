import { randomUUID } from 'node:crypto';
import { sql, type Kysely } from 'kysely';
import { Client } from 'pg';
import t from 'tap';
import { clearCounter } from '../../counter/clear/clear-counter.ts';
import { readBooks } from '../../counter/maintenance/audit.ts';
import type { Database } from '../../schema/database/tables.ts';
import { auditBooks } from '../torture/audit.ts';
import { makeKeys, readCounters, untilCounted } from '../support/counters.ts';
import { freeze } from '../support/freeze.ts';
import { drive, post, send, total } from '../support/load.ts';
import { startServers } from '../support/servers.ts';
import { startCounter, startGateway } from '../support/services.ts';
import { until } from '../support/until.ts';

const FAST = { FLUSH_INTERVAL_MS: '200' };

void t.test('clearing one counter', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: 200 });
  const { database, urls } = servers;
  const gateway = await startGateway(t, servers);
  const clear = async (key: string) => {
    const headers = { 'x-request-id': `clear-${key}` };
    const { status, body } = await send(`${gateway.url}/counters/${key}`, {
      method: 'DELETE',
      headers,
    });
    return { status, body: JSON.parse(body) as Record<string, string> };
  };
  const readRecords = () => database.selectFrom('cleared_counters').selectAll().execute();
  const [key = '', other = '', frozen = '', absent = ''] = makeKeys(4);

  await t.test('without a counter service it is a 503, and nothing is cleared', async (t) => {
    const startedAt = performance.now();
    const answer = await clear(key);
    t.match(answer, { status: 503, body: { code: 'no-counter-service' } });
    t.match(answer.body['detail'], 'Nothing was cleared');
    t.ok(performance.now() - startedAt < 3_000, 'before the deadline');
  });

  const counter = await startCounter(t, servers, FAST);

  await t.test('answers what was there, keeps a record and the books balanced', async (t) => {
    for (const value of [5, 7]) await post(gateway.url, { key, value });
    await post(gateway.url, { key: other, value: 3 });
    await untilCounted(database, key, 12);
    await untilCounted(database, other, 3);
    const { status, body } = await clear(key.toUpperCase());
    t.equal(status, 200);
    t.match(body, { key, value: '12', cleared_at: /^\d{4}-.*Z$/ });
    t.ok('complete_through' in body, 'says how complete it was');

    t.equal((await send(`${gateway.url}/counters/${key}`)).status, 404);
    const requestId = `clear-${key.toUpperCase()}`;
    const by = '127.0.0.1';
    t.match(await readRecords(), [
      { key, value: '12', cleared_by: by, request_id: requestId, cleared_at: Date },
    ]);
    t.strictSame(await readBooks(database), {
      counted: '3',
      cleared: '12',
      booked: '15',
      difference: '0',
    });
    const lines = gateway.log.filter(({ msg }) => msg === 'a counter was cleared');
    t.match(lines, [{ counter: key, value: '12', by, requestId }], 'the audit log has it');
  });

  await t.test('what is counted afterwards begins anew', async (t) => {
    await post(gateway.url, { key, value: 4 });
    await untilCounted(database, key, 4);
    t.match(await clear(key), { status: 200, body: { value: '4' } });
    t.match(await clear(key), { status: 404, body: { code: 'no-such-counter' } }, 'a repeat');
    t.match(await clear(absent), { status: 404 });
    t.equal((await clear('5')).status, 400);
    t.equal((await readRecords()).length, 2, 'one row for each that was cleared');
  });

  await t.test("a gateway's database role cannot clear by itself", async (t) => {
    const client = new Client({ connectionString: urls.gatewayDatabase });
    await client.connect();
    t.teardown(() => client.end());
    await client.query('set default_transaction_read_only = off');
    const record = `insert into cleared_counters (key, value, cleared_by, request_id)
      values ('${randomUUID()}', 1, '', '')`;
    for (const statement of ['delete from increments', 'update increments set value = 0', record])
      await t.rejects(client.query(statement), { code: '42501' }, statement);
  });

  await t.test('one that others write is not cleared, and the answer says so', async (t) => {
    const locked = database.transaction().execute(async (db) => {
      await sql`select from increments where key = ${other} for update`.execute(db);
      return clear(other);
    });
    t.match(await locked, { status: 503, body: { code: 'too-many-waiting', detail: /Nothing/ } });
    t.equal((await readCounters(database)).get(other), '3');
  });

  await t.test('a frozen counter service: 503 in time, and no clear afterwards', async (t) => {
    await post(gateway.url, { key: frozen, value: 1 });
    await untilCounted(database, frozen, 1);
    await freeze(counter);
    const startedAt = performance.now();
    const answer = await clear(frozen);
    t.match(answer, {
      status: 503,
      body: { code: 'clear-outcome-unknown', detail: /clear it again/ },
    });
    t.ok(performance.now() - startedAt < 4_000);
    counter.kill('SIGCONT');
    // Its answers come in the order of the requests.
    t.match(await clear(absent), { status: 404 });
    t.equal((await readCounters(database)).get(frozen), '1', 'it came too late');
    t.ok(gateway.log.some(({ msg }) => msg === 'a counter may have been cleared'));
  });

  await t.test('under load nothing is lost or counted twice', async (t) => {
    await startCounter(t, servers, FAST);
    const before = await readBooks(database);
    const keys = makeKeys(5);
    const ending = new AbortController();
    const clients = { urls: [gateway.url], connections: 8, pauseMs: 2, valueMax: 9 };
    const load = drive({ ...clients, keys, signal: ending.signal });
    const answered = new Map<string, number>();
    for (let cleared = 0; cleared < 15;) {
      for (const one of keys) {
        const { status, body } = await clear(one);
        if (status === 200) {
          cleared++;
          answered.set(one, (answered.get(one) ?? 0) + Number(body['value']));
        } else t.match(body, { code: /^(no-such-counter|too-many-waiting)$/ });
      }
    }
    ending.abort();
    const { accepted } = await load;
    const booked = String(BigInt(before.booked) + BigInt(total(accepted)));
    await until(
      'all counted',
      () => readBooks(database),
      (books) => books.booked === booked,
    );
    const counters = await readCounters(database);
    for (const one of keys) {
      const sum = (answered.get(one) ?? 0) + Number(counters.get(one) ?? 0);
      t.equal(sum, accepted.get(one), 'what was read and what was cleared is what was accepted');
    }
    t.strictSame(await auditBooks(database), []);
    t.equal((await readBooks(database)).difference, '0');
  });

  await t.test('takes what a flush has made of the counter that it waits for', async (t) => {
    await sql`insert into increments (key, value) values (${absent}, 3)`.execute(database);
    const flush = new Client({ connectionString: urls.counterDatabase });
    await flush.connect();
    t.teardown(() => flush.end());
    await flush.query('begin');
    await flush.query('update increments set value = value + 4 where key = $1', [absent]);
    const cleared = clearCounter(database, { key: absent, by: 'test', request_id: 'late' }, 10_000);
    await untilWaitsForLock(database);
    await flush.query('commit');
    t.match(await cleared, { value: '7' });
    const record = (await readRecords()).find(({ request_id }) => request_id === 'late');
    t.match(record, { key: absent, value: '7' });
  });
});

async function untilWaitsForLock(database: Kysely<Database>): Promise<void> {
  const readWaiting = () =>
    sql`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
      and query like '%cleared_counters%'`.execute(database);
  await until('a clear that waits', readWaiting, ({ rows }) => rows.length === 1);
}
