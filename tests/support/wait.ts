import { setTimeout as delay } from 'node:timers/promises';

/**
 * Awaits a condition, asked again and again until the deadline.
 *
 * @throws Error that says what was awaited and what was seen last.
 */
export async function until<Value>(
  what: string,
  ask: () => Promise<Value> | Value,
  isMet: (value: Value) => boolean,
  timeoutMs = 15_000,
): Promise<Value> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await ask();
    if (isMet(value)) return value;
    if (performance.now() > deadline) {
      throw new Error(`${what}: not within ${timeoutMs} ms; last seen ${JSON.stringify(value)}`);
    }
    await delay(25);
  }
}
