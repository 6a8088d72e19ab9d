import { addExact, type Exact } from '../../schema/int64.ts';

/** Sums by key. Plain data, no clock and no input or output. */
export type Tally = Map<string, Exact>;

/** Adds a value to a key's sum, exactly. */
export function addToTally(tally: Tally, key: string, value: Exact): void {
  const sum = tally.get(key);
  tally.set(key, sum === undefined ? value : addExact(sum, value));
}

/** The sum of many values, exactly. */
export function sumOf(values: Iterable<{ value: Exact }>): Exact {
  let sum: Exact = 0;
  for (const { value } of values) sum = addExact(sum, value);
  return sum;
}

/**
 * Raised where a batch must come back from the broker with its bodies: its tally holds a message that
 * must not be added beside others that must, and sums can't be taken apart again; or the database
 * changed between two statements.
 */
export class TallyConflict extends Error {
  override readonly name = 'TallyConflict';
}
