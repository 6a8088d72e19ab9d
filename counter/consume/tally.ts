import { addExact, type Exact } from '../../schema/int64.ts';

/** Sums by key. */
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
