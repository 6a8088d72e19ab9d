import { performance } from 'node:perf_hooks';
import { sql, type Kysely } from 'kysely';
import { flush as flushLoad } from '../../counter/flush/flush.ts';
import { openDatabase } from '../../schema/database/database.ts';
import { type Database } from '../../schema/database/tables.ts';
import { makeKeys, readCounters } from '../support/counters.ts';
import { choose, type Benchmark } from './harness/benchmark.ts';
import { makeBatch } from './harness/made-batch.ts';
import { spreadOf } from './harness/median.ts';
import { withScope } from './harness/scope.ts';
import { makeFolder, startDatabase } from './harness/servers.ts';
import { compareSums } from './harness/sums.ts';
import { formatNumber, formatTable } from './harness/table.ts';

const SIZES = [1_000, 10_000, 100_000];
const VALUE = 7;

interface FlushRun {
  keys: number;
  /** Whether the rows were there already. */
  isUpdate: boolean;
  flushMs: number;
  bareMs: number;
}

/** What the ledger, the transaction and the sorting cost beside the upsert that is needed anyway. */
export const flush: Benchmark = {
  about: 'the flush alone against a bare UNNEST statement of as many rows',
  run: (options) =>
    withScope(async (scope) => {
      const { urls, database } = await startDatabase(scope, makeFolder(scope));
      const counter = openDatabase(urls.counter, {
        name: 'bench',
        connectionsMax: 1,
        queryTimeoutMs: 60_000,
        onBrokenConnection: () => undefined,
      });
      scope.defer(() => counter.destroy());
      const runs: FlushRun[] = [];
      const written: string[][] = [];
      // The first statements of a connection and of Node are slower than all that follow.
      written.push((await measureSize(counter, 1_000, 0)).written);
      for (let round = 1; round <= options.rounds; round++) {
        for (const size of choose(SIZES, options, String)) {
          const measured = await measureSize(counter, size, round);
          runs.push(...measured.runs);
          written.push(measured.written);
        }
      }
      // Each was inserted once and updated once.
      const expected = new Map(written.flat().map((key) => [key, 2 * VALUE]));
      const keys = compareSums(await readCounters(database), expected);
      return { report: `${report(runs)}\n\nsums checked: ${keys}`, figures: runs };
    }),
};

/** Both on keys of their own; which goes first alternates. */
async function measureSize(
  database: Kysely<Database>,
  size: number,
  round: number,
): Promise<{ runs: FlushRun[]; written: string[] }> {
  const flushed = makeKeys(size);
  const bare = makeKeys(size);
  const runs: FlushRun[] = [];
  for (const isUpdate of [false, true]) {
    const measures = [
      async () => ({ flushMs: await timeFlush(database, flushed) }),
      async () => ({ bareMs: await timeBare(database, bare) }),
    ];
    if (round % 2 === 0) measures.reverse();
    const run = { keys: size, isUpdate, flushMs: NaN, bareMs: NaN };
    for (const measure of measures) Object.assign(run, await measure());
    runs.push(run);
  }
  return { runs, written: [...flushed, ...bare] };
}

async function timeFlush(database: Kysely<Database>, keys: string[]): Promise<number> {
  const load = makeBatch(keys, VALUE);
  const startedAt = performance.now();
  await flushLoad(database, load, 1);
  return performance.now() - startedAt;
}

/** Its rows are sorted and written as text before the clock starts. */
async function timeBare(database: Kysely<Database>, keys: string[]): Promise<number> {
  const sorted = `{${keys.toSorted().join(',')}}`;
  const values = `{${keys.map(() => VALUE).join(',')}}`;
  const startedAt = performance.now();
  await sql`
    insert into increments (key, value)
    select * from unnest(${sorted}::uuid[], ${values}::numeric[])
    on conflict (key) do update
    set value = increments.value + excluded.value, updated_at = excluded.updated_at`.execute(
    database,
  );
  return performance.now() - startedAt;
}

function report(runs: FlushRun[]): string {
  const sizes = [...new Set(runs.map(({ keys }) => keys))];
  const rows = sizes.flatMap((size) =>
    [false, true].map((isUpdate) => {
      const own = runs.filter((run) => run.keys === size && run.isUpdate === isUpdate);
      const flushed = spreadOf(own.map(({ flushMs }) => flushMs));
      const bare = spreadOf(own.map(({ bareMs }) => bareMs));
      return [
        `${size} keys, ${isUpdate ? 'there already' : 'new'}`,
        formatNumber(flushed.median),
        `${formatNumber(flushed.least)}–${formatNumber(flushed.most)}`,
        formatNumber(bare.median),
        `${formatNumber(bare.least)}–${formatNumber(bare.most)}`,
        (flushed.median / bare.median).toFixed(2),
      ];
    }),
  );
  return formatTable(['', 'flush ms', 'spread', 'bare ms', 'spread', '×'], rows);
}
