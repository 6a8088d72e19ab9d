import { performance } from 'node:perf_hooks';
import { sql, type Kysely } from 'kysely';
import { flush } from '../../counter/flush/flush.ts';
import type { Database } from '../../schema/database/tables.ts';
import { choose, type Benchmark } from './harness/benchmark.ts';
import { makeBatch } from './harness/made-batch.ts';
import { spreadOf } from './harness/median.ts';
import { withScope } from './harness/scope.ts';
import { makeFolder, startDatabase } from './harness/servers.ts';
import { formatNumber, formatTable } from './harness/table.ts';

const SIZES = [1_000, 10_000, 100_000, 1_000_000, 10_000_000];
const ROWS_AT_ONCE = 500_000;
/** Of each flush, drawn from the whole table. */
const KEYS = 1_000;
const VALUE = 7;

interface TableSizeRun {
  rows: number;
  flushMs: number;
  tableMib: number;
}

/** How a flush of 1 000 keys slows down as the table and its index outgrow memory. */
export const tableSize: Benchmark = {
  about: 'a flush of 1 000 keys into a table of 1 thousand to 10 million',
  run: (options, say) =>
    withScope(async (scope) => {
      const { database } = await startDatabase(scope, makeFolder(scope));
      const runs: TableSizeRun[] = [];
      let rows = 0;
      for (const size of choose(SIZES, options, String)) {
        for (; rows < size; rows += Math.min(size - rows, ROWS_AT_ONCE)) {
          await addRows(database, Math.min(size - rows, ROWS_AT_ONCE));
        }
        await sql`vacuum analyze increments`.execute(database);
        await sql`checkpoint`.execute(database);
        for (let round = 0; round < options.rounds; round++) {
          runs.push(await measureFlush(database, size));
        }
        say(`${size} rows: ${formatNumber(runs.at(-1)?.flushMs)} ms`);
      }
      return { report: report(runs), figures: runs };
    }),
};

function addRows(database: Kysely<Database>, count: number): Promise<unknown> {
  return sql`insert into increments (key, value)
    select gen_random_uuid(), 0 from generate_series(1, ${count}::int)`.execute(database);
}

async function measureFlush(database: Kysely<Database>, rows: number): Promise<TableSizeRun> {
  const keys = await drawKeys(database);
  const load = makeBatch(keys, VALUE);
  const before = await readSum(database, keys);
  const startedAt = performance.now();
  await flush(database, load, 1);
  const flushMs = performance.now() - startedAt;
  const added = (await readSum(database, keys)) - before;
  if (added !== keys.length * VALUE) throw new Error(`${added} was added for ${keys.length} keys`);
  return { rows, flushMs, tableMib: await readSize(database) };
}

/** Random keys find their neighbours in the index; those are all over the table. */
async function drawKeys(database: Kysely<Database>): Promise<string[]> {
  const { rows } = await sql<{ key: string }>`
    select distinct drawn.key from
      (select gen_random_uuid() as wanted from generate_series(1, ${KEYS}::int)) as wanted
      cross join lateral (
        select key from increments where key >= wanted.wanted order by key limit 1
      ) as drawn`.execute(database);
  return rows.map(({ key }) => key);
}

async function readSum(database: Kysely<Database>, keys: string[]): Promise<number> {
  const { rows } = await sql<{ sum: string }>`
    select sum(value) as sum from increments where key = any(${keys}::uuid[])`.execute(database);
  return Number(rows[0]?.sum);
}

async function readSize(database: Kysely<Database>): Promise<number> {
  const { rows } = await sql<{ bytes: string }>`
    select pg_total_relation_size('increments') as bytes`.execute(database);
  return Number(rows[0]?.bytes) / 1024 / 1024;
}

function report(runs: TableSizeRun[]): string {
  const sizes = [...new Set(runs.map(({ rows }) => rows))];
  const rows = sizes.map((size) => {
    const own = runs.filter(({ rows }) => rows === size);
    const { median, least, most } = spreadOf(own.map(({ flushMs }) => flushMs));
    return [
      `${size} rows`,
      formatNumber(own[0]?.tableMib),
      formatNumber(median),
      `${formatNumber(least)}–${formatNumber(most)}`,
    ];
  });
  return formatTable(['', 'table MiB', 'flush ms', 'spread'], rows);
}
