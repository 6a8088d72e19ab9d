import { sql, type Kysely } from 'kysely';
import { randomUUID, randomUUIDv7 } from 'node:crypto';
import type { Database } from '../../schema/database/tables.ts';
import { until } from './until.ts';

/** Of both kinds that clients make: random, and by time, which share their first digits. */
export function makeKeys(count: number): string[] {
  return Array.from({ length: count }, (_, index) =>
    index % 2 === 0 ? randomUUID() : randomUUIDv7(),
  );
}

/** Puts counters with the value 7 into the table, as no mesh would. */
export async function insertCounters(
  { database }: { database: Kysely<Database> },
  keys: string[],
): Promise<void> {
  await sql`
    insert into increments (key, value)
    select key, 7 from unnest(${`{${keys.join(',')}}`}::uuid[]) as given(key)`.execute(database);
}

/** The table, as key and value. */
export async function readCounters(database: Kysely<Database>): Promise<Map<string, string>> {
  const rows = await database.selectFrom('increments').select(['key', 'value']).execute();
  return new Map(rows.map(({ key, value }) => [key, value]));
}

/** The sum over all counters; "0" where there is none. */
export async function readTotal(database: Kysely<Database>): Promise<string> {
  const row = await database
    .selectFrom('increments')
    .select(({ fn }) => fn.sum<string | null>('value').as('total'))
    .executeTakeFirst();
  return row?.total ?? '0';
}

/** Awaits that the sum over all counters is what it should be. */
export async function untilTotal(
  database: Kysely<Database>,
  expected: number | bigint,
  timeoutMs = 15_000,
): Promise<void> {
  const isExpected = (total: string) => total === String(expected);
  await until(`a total of ${expected}`, () => readTotal(database), isExpected, timeoutMs);
}

/** What a counter has; "0" where it was never counted. */
export async function readCounter(database: Kysely<Database>, key: string): Promise<string> {
  const row = await database
    .selectFrom('increments')
    .select('value')
    .where('key', '=', key)
    .executeTakeFirst();
  return row?.value ?? '0';
}

/** Awaits that a counter is what it should be. */
export async function untilCounted(
  database: Kysely<Database>,
  key: string,
  expected: number | bigint,
): Promise<void> {
  const isExpected = (value: string) => value === String(expected);
  await until(`${key} at ${expected}`, () => readCounter(database, key), isExpected);
}

/** Where the table and the expected sums differ; empty where they are the same, key by key. */
export function differences(
  table: Map<string, string>,
  expected: Map<string, number>,
): { key: string; found: string; expected: number }[] {
  const found: { key: string; found: string; expected: number }[] = [];
  for (const key of new Set([...table.keys(), ...expected.keys()])) {
    const value = table.get(key) ?? '0';
    const sum = expected.get(key) ?? 0;
    if (value !== String(sum)) found.push({ key, found: value, expected: sum });
  }
  return found;
}
