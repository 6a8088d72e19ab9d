import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

const TRIES_MAX = 20;
const TIMEOUT_MS = 10_000;

/**
 * How a client counts exactly once: it makes up an Idempotency-Key, and sends the same request with the
 * same key until it has an answer. After a 503, a time-out or a broken connection the increment may
 * or may not have been counted; the key makes the repeat harmless.
 *
 * @throws Error where the request itself is wrong, or nobody answered in all tries.
 */
export async function increment(url: string, key: string, value: number | bigint): Promise<void> {
  const idempotencyKey = randomUUID();
  for (let attempt = 1; attempt <= TRIES_MAX; attempt++) {
    const response = await fetch(`${url}/increment`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': `"${idempotencyKey}"` },
      body: `{"key":"${key}","value":${value}}`,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }).catch(() => undefined);

    if (response?.ok === true) return;
    const isWorthARepeat =
      response === undefined || response.status === 429 || response.status >= 500;
    if (!isWorthARepeat) throw new Error(`refused: ${await response.text()}`);
    const retryAfterS = Number(response?.headers.get('retry-after') ?? 0);
    // Jitter, so that clients that failed together do not come back together.
    await delay(retryAfterS * 1000 + Math.random() * 100 * attempt);
  }
  throw new Error(`no answer in ${TRIES_MAX} tries`);
}
