import { INT64_MAX, type Increment } from './increment.ts';

/** What is to be sent: a sum for each key, the oldest first. */
export type Sums = Map<string, bigint>;

export function addToSums(sums: Sums, key: string, value: bigint): void {
  sums.set(key, (sums.get(key) ?? 0n) + value);
}

/**
 * Takes a batch out of the sums, from the oldest key on. A sum above the largest value of an increment becomes
 * several; what does not fit of it stays, in its place.
 *
 * @returns the increments, and how many keys were taken as a whole.
 */
export function takeFromSums(
  sums: Sums,
  incrementsMax: number,
): { increments: Increment[]; keys: number } {
  const increments: Increment[] = [];
  let keys = 0;
  for (const [key, sum] of sums) {
    let rest = sum;
    while (rest > 0n && increments.length < incrementsMax) {
      const value = rest > INT64_MAX ? INT64_MAX : rest;
      increments.push({ key, value });
      rest -= value;
    }
    if (rest === 0n) {
      sums.delete(key);
      keys++;
    } else sums.set(key, rest);
    if (increments.length === incrementsMax) break;
  }
  return { increments, keys };
}
