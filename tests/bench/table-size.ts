import { performance } from 'node:perf_hooks';
import { sql, type Kysely } from 'kysely';
import type { FlushBatch } from '../../counter/consume/flush-batch.ts';
import { flush } from '../../counter/flush/flush.ts';
import { DEFAULT_SCHEMA } from '../../schema/database/database-names.ts';
import { openDatabase } from '../../schema/database/database.ts';
import type { Database } from '../../schema/database/tables.ts';
import { choose, type Benchmark } from './harness/benchmark.ts';
import { makeBatch } from './harness/made-batch.ts';
import { readUsage } from './harness/process-usage.ts';
import { withScope } from './harness/scope.ts';
import { makeFolder, startDatabase, type Postgres } from './harness/servers.ts';
import { formatNumber, formatTable } from './harness/table.ts';

const SIZES = [1_000, 100_000, 1_000_000, 10_000_000];
const FLUSHES = [1_000, 10_000, 100_000];
const ROWS_AT_ONCE = 500_000;
/** So many rows are written by the flushes of a size: a hundredth of a second of CPU is too short. */
const ROWS_WRITTEN = 100_000;
const VALUE = 7;

/** Flushes of as many rows, from the table at random. */
export interface TableSizeRun {
  tableRows: number;
  /** Whether these are the first flushes after a checkpoint, which write whole pages. */
  isAfterCheckpoint: boolean;
  rows: number;
  flushes: number;
  messages: number;
  /** Of one flush. */
  flushMs: number;
  walBytes: number;
  cpuSeconds: { postgres: number; counter: number };
}

/** How a flush slows down as the table and its index outgrow memory, and what each row costs. */
export const tableSize: Benchmark = {
  about: 'flushes of 1 to 100 thousand rows into a table of 1 thousand to 10 million',
  run: (options, say) =>
    withScope(async (scope) => {
      const postgres = await startDatabase(scope, makeFolder(scope));
      const { database } = postgres;
      const runs: TableSizeRun[] = [];
      let filled = 0;
      let written = 0;
      for (const size of choose(SIZES, options, String)) {
        for (; filled < size; filled += Math.min(size - filled, ROWS_AT_ONCE)) {
          await addRows(database, Math.min(size - filled, ROWS_AT_ONCE));
        }
        await vacuum(postgres);
        for (const count of FLUSHES.filter((each) => each <= size)) {
          await sql`checkpoint`.execute(database);
          for (const isAfterCheckpoint of [true, false]) {
            const run = await measureRows(postgres, { size, count, isAfterCheckpoint });
            runs.push(run);
            written += run.rows;
            say(`${size} rows, ${count} a flush: ${formatNumber(run.flushMs)} ms`);
          }
        }
        const sum = await readSum(database);
        if (sum !== written * VALUE) throw new Error(`${sum} was added to ${written} rows`);
      }
      return { report: report(runs), figures: runs };
    }),
};

function addRows(database: Kysely<Database>, count: number): Promise<unknown> {
  return sql`insert into increments (key, value)
    select gen_random_uuid(), 0 from generate_series(1, ${count}::int)`.execute(database);
}

async function measureRows(
  { database, pid }: Postgres,
  shape: { size: number; count: number; isAfterCheckpoint: boolean },
): Promise<TableSizeRun> {
  const { size, count, isAfterCheckpoint } = shape;
  // After a checkpoint only the first flush finds pages that were not yet written whole.
  const flushes = isAfterCheckpoint ? 1 : Math.max(1, ROWS_WRITTEN / count);
  const batches: FlushBatch[] = [];
  for (let index = 0; index < flushes; index++) {
    batches.push(makeBatch(await drawKeys(database, count), VALUE));
  }
  const before = await readAll(database, pid);
  const startedAt = performance.now();
  for (const batch of batches) await flush(database, batch, 1);
  const took = performance.now() - startedAt;
  const after = await readAll(database, pid);
  const sum = (read: (batch: (typeof batches)[number]) => number) =>
    batches.reduce((total, batch) => total + read(batch), 0);
  return {
    tableRows: size,
    isAfterCheckpoint,
    rows: sum(({ tally }) => tally.size),
    flushes,
    messages: sum(({ tally }) => Math.ceil(tally.size / 100)),
    flushMs: took / flushes,
    walBytes: after.walBytes - before.walBytes,
    cpuSeconds: {
      postgres: after.postgres - before.postgres,
      counter: after.own - before.own,
    },
  };
}

/** On a connection without our settings, which would make a transaction of it. */
async function vacuum({ urls }: Postgres): Promise<void> {
  const owner = openDatabase(urls.owner, {
    name: 'bench',
    connectionsMax: 1,
    queryTimeoutMs: 600_000,
    onBrokenConnection: () => undefined,
  });
  await sql`vacuum analyze ${sql.id(DEFAULT_SCHEMA, 'increments')}`.execute(owner);
  await owner.destroy();
}

/** Random keys find their neighbours in the index; those are all over the table. */
async function drawKeys(database: Kysely<Database>, count: number): Promise<string[]> {
  const { rows } = await sql<{ key: string }>`
    select distinct drawn.key from
      (select gen_random_uuid() as wanted from generate_series(1, ${count}::int)) as wanted
      cross join lateral (
        select key from increments where key >= wanted.wanted order by key limit 1
      ) as drawn`.execute(database);
  return rows.map(({ key }) => key);
}

async function readSum(database: Kysely<Database>): Promise<number> {
  const { rows } = await sql<{ sum: string }>`
    select sum(value) as sum from increments`.execute(database);
  return Number(rows[0]?.sum);
}

async function readAll(database: Kysely<Database>, pid: number) {
  const { user, system } = process.cpuUsage();
  const { rows } = await sql<{ bytes: string }>`
    select pg_current_wal_insert_lsn() - '0/0' as bytes`.execute(database);
  return {
    own: (user + system) / 1e6,
    postgres: readUsage(pid, true)?.cpuSeconds ?? NaN,
    walBytes: Number(rows[0]?.bytes),
  };
}

function report(runs: TableSizeRun[]): string {
  const cells = runs.map((run) => [
    `${run.tableRows} rows, ${run.rows / run.flushes} a flush${run.isAfterCheckpoint ? ', after a checkpoint' : ''}`,
    ...[
      run.flushMs,
      (run.cpuSeconds.postgres / run.rows) * 1e6,
      (run.cpuSeconds.counter / run.rows) * 1e6,
      run.walBytes / run.rows,
    ].map(formatNumber),
  ]);
  return formatTable(['', 'flush ms', 'postgres µs/row', 'counter µs/row', 'WAL bytes/row'], cells);
}
