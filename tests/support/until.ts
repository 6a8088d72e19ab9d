import { setTimeout as delay } from 'node:timers/promises';

const DEADLINE_MS = 20_000;
/** Between two looks: soon for what is quick, and not too often for what takes long. */
const PAUSE_MS = { first: 10, most: 100, growth: 1.2 };

type There<Value> = Exclude<Value, undefined | null | false>;

/**
 * Awaits a condition, which is looked at again and again until the deadline: that what `ask` returns
 * is as it should be; without `isMet`, that it returns something.
 *
 * @throws Error that says what was awaited and what was seen last.
 */
export function until<Value, Met extends Value = There<Value>>(
  what: string,
  ask: () => Promise<Value> | Value,
  isMet?: (value: Value) => value is Met,
  deadlineMs?: number,
): Promise<Met>;
export function until<Value>(
  what: string,
  ask: () => Promise<Value> | Value,
  isMet: (value: Value) => boolean,
  deadlineMs?: number,
): Promise<Value>;
export async function until<Value>(
  what: string,
  ask: () => Promise<Value> | Value,
  isMet: (value: Value) => boolean = isThere,
  deadlineMs = DEADLINE_MS,
): Promise<Value> {
  const deadline = performance.now() + deadlineMs;
  for (
    let pauseMs = PAUSE_MS.first;
    ;
    pauseMs = Math.min(pauseMs * PAUSE_MS.growth, PAUSE_MS.most)
  ) {
    const value = await ask();
    if (isMet(value)) return value;
    if (performance.now() > deadline) {
      const seen = JSON.stringify(value);
      throw new Error(`${what}: not within ${deadlineMs} ms; last seen ${seen}`);
    }
    await delay(pauseMs);
  }
}

export function isThere<Value>(value: Value): value is There<Value> {
  return value !== undefined && value !== null && value !== false;
}
