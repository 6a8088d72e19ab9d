import { sql, type Kysely } from 'kysely';
import type { Database } from '../../../schema/database/tables.ts';
import { readCounters } from '../../support/counters.ts';
import { countAbove, readMetrics, sumSamples } from '../../support/metrics.ts';
import { until } from '../../support/until.ts';
import { WrongSums, type Checked } from './contender.ts';
import type { Sent } from './load.ts';
import { compareNumbers, compareSums, countOf, sumOfAll } from './sums.ts';

/** The bound, and room for a machine that is busy with other things. */
const COMMIT_MS_MAX = 30_000;

/** Awaits that everything is committed, then compares the table, the ledger and the metrics. */
export async function checkMesh(
  sent: Sent[],
  database: Kysely<Database>,
  metrics: { gateways: string[]; counters: string[] },
): Promise<Checked> {
  const increments = countOf(sent, (each) => each.increments);
  const isAll = (books: { increments: number }) => books.increments >= increments;
  const ledger = await until(
    'everything is committed',
    () => readLedger(database),
    isAll,
    COMMIT_MS_MAX,
  ).catch((cause: unknown) => {
    throw new WrongSums((cause as Error).message, { cause });
  });
  const sums = sumOfAll(sent);
  const keys = compareSums(await readCounters(database), sums);
  compareNumbers('increments in the ledger', ledger.increments, increments);
  compareNumbers(
    'the total of the ledger',
    ledger.total,
    [...sums.values()].reduce((left, right) => left + right, 0),
  );
  if (metrics.gateways.length > 0) {
    const accepted = await sumOver(metrics.gateways, 'increments_accepted_total');
    compareNumbers('increments accepted, as gateways count them', accepted, increments);
  }
  return {
    what: `${keys}, ledger${metrics.gateways.length > 0 ? ', metrics' : ''}`,
    ...(metrics.counters.length > 0 && {
      stalenessSeconds: await readStalenessBound(metrics.counters),
    }),
  };
}

export async function readLedger(
  database: Kysely<Database>,
): Promise<{ messages: number; increments: number; total: string }> {
  const { rows } = await sql<{ messages: string; increments: string; total: string }>`
    select count(*) as messages, coalesce(sum(increments), 0) as increments,
      coalesce(sum(total), 0) as total from ledger`.execute(database);
  const row = rows[0];
  if (row === undefined) throw new WrongSums('the ledger could not be read');
  return {
    messages: Number(row.messages),
    increments: Number(row.increments),
    total: row.total,
  };
}

async function sumOver(urls: string[], name: string): Promise<number> {
  const samples = await Promise.all(urls.map(readMetrics));
  return sumSamples(samples.flat(), name);
}

/** Bounds of the histogram's buckets around ten seconds, as counter/metrics.ts has them. */
const STALENESS_BOUNDS = [1, 2, 4, 6, 8, 8.5, 9, 9.25, 9.5, 9.75, 10, 11, 12, 13, 15, 20, 30, 60];

/** No flush was staler than this, so far as the buckets of the histogram tell. */
export async function readStalenessBound(counters: string[]): Promise<number> {
  const samples = (await Promise.all(counters.map(readMetrics))).flat();
  const isBound = (bound: number) =>
    countAbove(samples, 'increments_staleness_seconds', bound).above === 0;
  return STALENESS_BOUNDS.find(isBound) ?? Infinity;
}
