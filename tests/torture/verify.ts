import type { Kysely } from 'kysely';
import type { Database } from '../../schema/database/tables.ts';
import { readDigits, type Book, type DuplicateKey, type Increment } from './book.ts';

/** Something that ended wrong, with everything that is known about it. */
export interface Wrong {
  what: string;
  /** Of the counts, where it is about these. */
  keys?: string[];
  history: string[];
}

export interface Verification {
  wrong: Wrong[];
  countOf: (increment: Increment) => number;
}

/** Compares the table with the book, digit by digit. */
export async function verifyCounts(database: Kysely<Database>, book: Book): Promise<Verification> {
  const rows = await database.selectFrom('increments').select(['key', 'value']).execute();
  const counts = new Map<Increment, number>();
  const wrong: Wrong[] = [];
  for (const { key, value } of rows) {
    readDigits(BigInt(value)).forEach((count, place) => {
      const increment = count === 0 ? undefined : book.find(key, 4n ** BigInt(place));
      if (increment !== undefined) counts.set(increment, count);
      else if (count > 0)
        wrong.push({ what: `${key} has a digit nobody sent: ${value}`, keys: [key], history: [] });
    });
  }
  const countOf = (increment: Increment) => counts.get(increment) ?? 0;
  for (const fence of book.fences) {
    const what = judge(fence, countOf);
    const keys = fence.increments.map(({ key }) => key);
    if (what !== undefined) wrong.push({ what, keys, history: describeFence(fence, countOf) });
  }
  return { wrong, countOf };
}

/** Once, if anything behind the fence was answered 200; never, if all was refused; else either. */
function judge(fence: DuplicateKey, countOf: (increment: Increment) => number): string | undefined {
  const counts = fence.increments.map(countOf);
  const [first = 0] = counts;
  const counted = fence.isBatch ? first : counts.reduce((sum, count) => sum + count, 0);
  const outcomes = fence.increments.flatMap(({ attempts }) =>
    attempts.map(({ outcome }) => outcome),
  );

  if (fence.isBatch && counts.some((count) => count !== first)) return 'a batch was taken apart';
  if (fence.isNeverCounted) return counted > 0 ? 'counted what can never count' : undefined;
  if (counted > 1) return `counted ${counted} times`;
  if (counted === 0 && outcomes.includes('accepted')) return 'accepted and not counted';
  // An attempt that was refused was not stored, and neither was anything else of this fence.
  const isRefused = outcomes.every((outcome) => outcome === 'refused');
  if (counted > 0 && isRefused) return 'refused as not stored, and counted';
  return undefined;
}

/** Everything that was sent behind the fence, and what was said to it. */
export function describeFence(
  fence: DuplicateKey,
  countOf: (increment: Increment) => number,
): string[] {
  return fence.increments.flatMap((increment) => [
    `key ${increment.key} value ${increment.value} counted ${countOf(increment)} times` +
      (fence.once === undefined ? '' : `, idempotency key ${fence.once}`),
    ...increment.attempts.map(
      ({ startedAt, endedAt, via, said, outcome, sequence }) =>
        `  ${inSeconds(startedAt)} to ${inSeconds(endedAt)} by ${via}: ${said}, so ${outcome}` +
        (sequence === undefined ? '' : `, sequence ${sequence}`),
    ),
  ]);
}

export function inSeconds(atMs: number): string {
  return `${(atMs / 1000).toFixed(2)} s`;
}
