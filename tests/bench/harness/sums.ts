import { WrongSums } from './contender.ts';
import type { Sent } from './load.ts';

const DIFFERENCES_SHOWN = 3;

/** The sum that was sent for each key, over all loads of a run. */
export function sumOfAll(sent: Sent[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const each of sent) {
    for (const [key, sum] of each.sums) sums.set(key, (sums.get(key) ?? 0) + sum);
  }
  return sums;
}

/** Every key that was sent must be stored with its sum, and no other key. @throws WrongSums */
export function compareSums(stored: Map<string, string>, sent: Map<string, number>): string {
  const wrong: string[] = [];
  for (const key of new Set([...stored.keys(), ...sent.keys()])) {
    const found = stored.get(key) ?? '0';
    const expected = String(sent.get(key) ?? 0);
    if (found !== expected) wrong.push(`${key} has ${found}, ${expected} were sent`);
  }
  if (wrong.length > 0) {
    throw new WrongSums(
      `${wrong.length} of ${sent.size} keys are wrong: ${wrong.slice(0, DIFFERENCES_SHOWN).join('; ')}`,
    );
  }
  return `${sent.size} keys`;
}

/** For stores that keep more than sums. @throws WrongSums */
export function compareNumbers(what: string, found: number | string, expected: number): void {
  if (String(found) !== String(expected)) {
    throw new WrongSums(`${what}: ${found} where ${expected} were sent`);
  }
}

export function countOf(sent: Sent[], read: (sent: Sent) => number): number {
  return sent.reduce((sum, each) => sum + read(each), 0);
}
