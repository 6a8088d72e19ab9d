import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { sql, type Kysely } from 'kysely';
import t, { type Test } from 'tap';
import { acceptMessage } from '../../../counter/consume/accept-message.ts';
import { createFlushBatch, type FlushBatch } from '../../../counter/consume/flush-batch.ts';
import { createSuspects } from '../../../counter/consume/suspects.ts';
import { flushWithRetries, type RetryOptions } from '../../../counter/flush/flush-with-retries.ts';
import { readBooks } from '../../../counter/maintenance/audit.ts';
import { openDatabase } from '../../../schema/database/database.ts';
import { DEFAULT_SCHEMA } from '../../../schema/database/database-names.ts';
import { roleSettings } from '../../../schema/database/role-settings.ts';
import type { Database } from '../../../schema/database/tables.ts';
import {
  encodeEnvelope,
  encodeIncrement,
  PACK_INCREMENTS_MAX,
} from '../../../schema/message/envelope.ts';
import { createLog } from '../../../telemetry/log.ts';
import { makeKeys, readCounters } from '../../support/counters.ts';
import { startServers } from '../../support/servers.ts';

// What the database refuses, in messages as gateways make them: one refused increment costs itself.

const INCARNATION = 1_800_000_000_000;
const PACKS = 20;
/** One increment of so many is on the key that is refused. */
const BAD_EVERY = 20;
const NEAR_OVERFLOW = `${'9'.repeat(37)}0`;

interface Increment {
  key: string;
  value: number;
}

/** How the database comes to refuse `bad`, and what it says then. */
const REFUSALS: Record<string, [sqlstate: string, make: (bad: string) => string[]]> = {
  'a total that overflows': [
    '22003',
    (bad) => [`insert into increments values ('${bad}', ${NEAR_OVERFLOW})`],
  ],
  'a trigger that raises': ['P0001', (bad) => refuseBy(bad, 'P0001')],
  "an extension's internal error": ['XX000', (bad) => refuseBy(bad, 'XX000')],
  'a CHECK': [
    '23514',
    (bad) => [`alter table increments add check (key <> '${bad}' or value <= 9)`],
  ],
  'a policy for rows': [
    '42501',
    (bad) => [
      'alter table increments enable row level security',
      `create policy most on increments using (true) with check (key <> '${bad}')`,
    ],
  ],
  'a partition that was dropped': [
    '23514',
    (bad) => [
      'alter table increments rename to former',
      `create table increments (like former including all) partition by list (key)`,
      `create table theirs partition of increments for values in ('${bad}')`,
      'create table others partition of increments default',
      // Rows for the default partition can't be taken out of it, so it is a CHECK that stands for the gap.
      `alter table others add check (key <> '${bad}')`,
      'drop table theirs',
      'grant select, insert, update on increments to mesh_counter',
    ],
  ],
};

for (const [name, [sqlstate, make]] of Object.entries(REFUSALS)) {
  void t.test(`one increment that is refused costs one increment: ${name}`, async (t) => {
    const { servers, database } = await openAsCounter(t);
    const [bad = '', ...keys] = makeKeys(100);
    for (const statement of make(bad)) await sql.raw(statement).execute(servers.database);
    const { difference: before } = await readBooks(servers.database);
    const packs = makePacks(keys, bad);

    const startedAt = performance.now();
    await flushWithRetries(batchOf(packs, 2), optionsOf(database));
    t.comment(`${Math.round(performance.now() - startedAt)} ms`);

    const counters = await readCounters(servers.database);
    for (const [key, sum] of sumsOf(packs, bad)) {
      if (counters.get(key) !== String(sum)) t.fail(`${key}: ${counters.get(key)} of ${sum}`);
    }
    const letters = await readDeadLetters(servers.database);
    t.equal(letters.length, PACKS, 'a dead letter for each message');
    t.ok(letters.every(({ error }) => error?.startsWith(`${sqlstate} `)));
    const refused = letters.flatMap(({ payload }) => JSON.parse(payload) as Increment[]);
    t.ok(refused.every(({ key }) => key === bad));
    const isLimited = ['22003', '23514'].includes(sqlstate) && !name.includes('partition');
    // Up to the limit of 9, the smallest are counted.
    t.equal(refused.length, (PACKS * PACK_INCREMENTS_MAX) / BAD_EVERY - (isLimited ? 9 : 0));
    const { difference: after } = await readBooks(servers.database);
    t.equal(after, before, 'the books balance as before');
  });
}

void t.test('half of all keys refused do not keep the other half waiting for long', async (t) => {
  const { servers, database } = await openAsCounter(t);
  const keys = makeKeys(1_500);
  await sql`create table banned (key uuid primary key)`.execute(servers.database);
  const banned = keys.filter((_, index) => index % 2 === 0);
  await sql`insert into banned select unnest(${banned}::uuid[])`.execute(servers.database);
  await refuse(servers.database, 'exists (select from banned where banned.key = new.key)');
  const packs = Array.from({ length: 3 }, (_, pack) =>
    keys.slice(pack * 500, (pack + 1) * 500).map((key) => ({ key, value: 1 })),
  );
  const startedAt = performance.now();
  await flushWithRetries(batchOf(packs, 2), optionsOf(database));
  const durationMs = performance.now() - startedAt;
  t.comment(`${Math.round(durationMs)} ms`);
  t.equal((await readCounters(servers.database)).size, keys.length - banned.length);
  const letters = await readDeadLetters(servers.database);
  const refused = letters.flatMap(({ payload }) => JSON.parse(payload) as Increment[]);
  t.strictSame(refused.map(({ key }) => key).toSorted(), banned.toSorted());
});

void t.test('a tally with a refused key comes again, and does not the next time', async (t) => {
  const { servers, database } = await openAsCounter(t);
  const [bad = '', ...keys] = makeKeys(100);
  await refuse(servers.database, `new.key = '${bad}'`);
  const suspects = createSuspects();
  const options = { ...optionsOf(database), onRefused: suspects.add };
  const packs = makePacks(keys, bad);
  await t.rejects(flushWithRetries(batchOf(packs, 1, suspects.has), options), {
    name: 'FlushAborted',
    consequence: 'redeliver',
  });
  t.ok(suspects.has(bad));
  t.notOk(keys.some((key) => suspects.has(key)));
  t.equal((await readCounters(servers.database)).size, 0, 'nothing of it is counted yet');

  await flushWithRetries(batchOf(packs, 1, suspects.has), options);
  t.equal((await readCounters(servers.database)).size, keys.length);
});

void t.test('a database that takes nothing makes no dead letters', async (t) => {
  const { servers, database } = await openAsCounter(t);
  await refuse(servers.database, 'true');
  const packs = makePacks(makeKeys(100), randomUUID()).slice(0, 2);
  const flushing = flushWithRetries(batchOf(packs, 2), {
    ...optionsOf(database),
    retryForMs: () => 1_000,
  });
  await t.rejects(flushing, { name: 'FlushAborted', consequence: 'give-up' });
  t.strictSame(await readDeadLetters(servers.database), []);
});

void t.test('a message that the ledger refuses holds up no other', async (t) => {
  const { servers, database } = await openAsCounter(t);
  const keys = makeKeys(100);
  await refuse(servers.database, `new.sequence = 7`, 'ledger');
  const packs = makePacks(keys, randomUUID());
  const left: number[] = [];
  await flushWithRetries(batchOf(packs, 2), {
    ...optionsOf(database),
    onLeft: ({ messages }) => left.push(...messages.keys()),
  });
  t.strictSame(left, [7]);
  const rows = await servers.database.selectFrom('ledger').select('sequence').execute();
  t.equal(rows.length, PACKS - 1);
  t.equal((await readBooks(servers.database)).difference, '0');
});

void t.test('what takes too long for one transaction is halved', async (t) => {
  // Each row takes 2 ms: the batch 2 s, a quarter of it half a second.
  const { servers, database } = await openAsCounter(t, { statement_timeout: '800ms' });
  const keys = makeKeys(1_000);
  await refuse(servers.database, 'pg_sleep(0.002) is null');
  const packs = Array.from({ length: 8 }, (_, pack) =>
    keys.slice(pack * 125, (pack + 1) * 125).map((key) => ({ key, value: 1 })),
  );
  const parts: number[] = [];
  await flushWithRetries(batchOf(packs, 2), {
    ...optionsOf(database),
    onCommitted: ({ messages }) => parts.push(messages.size),
  });
  t.ok(parts.length > 1, parts.join(', '));
  t.equal((await readCounters(servers.database)).size, keys.length);

  await t.test('and a tally comes again, since it cannot be', async (t) => {
    const flushing = flushWithRetries(batchOf(packs, 1, undefined, 100), optionsOf(database));
    await t.rejects(flushing, { name: 'FlushAborted', consequence: 'redeliver' });
  });
});

async function openAsCounter(t: Test, settings: Record<string, string> = {}) {
  const servers = await startServers(t);
  const database = openDatabase(servers.urls.counterDatabase, {
    name: 'test',
    connectionsMax: 2,
    queryTimeoutMs: 16_000,
    settings: { ...roleSettings('counter', DEFAULT_SCHEMA), ...settings },
    onBrokenConnection: () => undefined,
  });
  t.teardown(() => database.destroy());
  return { servers, database };
}

function refuseBy(bad: string, sqlstate: string): string[] {
  return [
    `create function refuse() returns trigger language plpgsql as $$ begin
      if new.key = '${bad}' then raise exception 'not this one' using errcode = '${sqlstate}'; end if;
      return new; end $$`,
    'create trigger refuse before insert or update on increments for each row execute function refuse()',
  ];
}

/** @param condition of SQL, on the row `new`. */
async function refuse(
  database: Kysely<Database>,
  condition: string,
  table = 'increments',
): Promise<void> {
  await sql
    .raw(
      `create function refuse() returns trigger language plpgsql security definer as $$ begin
      if ${condition} then raise exception 'not this one'; end if; return new; end $$`,
    )
    .execute(database);
  await sql
    .raw(
      `create trigger refuse before insert or update on ${table} for each row execute function refuse()`,
    )
    .execute(database);
}

/** Full packs, as gateways make them of many requests. */
function makePacks(keys: string[], bad: string): Increment[][] {
  return Array.from({ length: PACKS }, (_, pack) =>
    Array.from({ length: PACK_INCREMENTS_MAX }, (_, index) => ({
      key: index % BAD_EVERY === 7 ? bad : keys[(pack + index) % keys.length]!,
      value: 1,
    })),
  );
}

function sumsOf(packs: Increment[][], bad: string): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { key, value } of packs.flat()) {
    if (key !== bad) sums.set(key, (sums.get(key) ?? 0) + value);
  }
  return sums;
}

function batchOf(
  packs: Increment[][],
  deliveryCount: number,
  isSuspect: (key: string) => boolean = () => false,
  firstSequence = 1,
): FlushBatch {
  const batch = createFlushBatch();
  for (const [index, increments] of packs.entries()) {
    acceptMessage(
      batch,
      {
        data: Buffer.from(encodeEnvelope(randomUUIDv7(), increments.map(encodeIncrement))),
        subject: 'increments.http',
        reply: '',
        sequence: firstSequence + index,
        deliveryCount,
        storedAtMs: Date.now(),
      },
      { reconnectedAtMs: 0, isSuspect, isBeingFlushed: () => false },
    );
  }
  return batch;
}

function optionsOf(database: Kysely<Database>): RetryOptions {
  return {
    database,
    readIncarnation: () => Promise.resolve(INCARNATION),
    onCommitted: () => undefined,
    retryForMs: () => 10_000,
    log: createLog('counter', 'silent'),
  };
}

async function readDeadLetters(database: Kysely<Database>) {
  const rows = await database.selectFrom('dead_letters').select(['error', 'payload']).execute();
  return rows.map(({ error, payload }) => ({ error, payload: payload.toString() }));
}
