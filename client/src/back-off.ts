/** The ceiling of the first pause; it doubles with each attempt. */
const FIRST_MS = 100;
const MOST_MS = 5_000;
/** A gateway never asks for more than a window of its rate limit, which is a minute by default. */
export const RETRY_AFTER_MS_MAX = 60_000;

/**
 * How long to wait after an attempt, in milliseconds: at least what `Retry-After` asks for, and a random time
 * up to a ceiling that doubles (full jitter), so that clients which failed together do not come back together.
 *
 * @param attempt 1 after the first.
 */
export function pauseMs(attempt: number, retryAfterMs = 0, random = Math.random): number {
  const ceiling = Math.min(MOST_MS, FIRST_MS * 2 ** (attempt - 1));
  return Math.min(retryAfterMs, RETRY_AFTER_MS_MAX) + random() * ceiling;
}

/** Reads `Retry-After`, seconds or an HTTP date, as milliseconds from now; 0 for anything else. */
export function readRetryAfter(header: string | null, now = Date.now()): number {
  const text = header?.trim() ?? '';
  if (/^\d+$/.test(text)) return Number(text) * 1_000;
  // Date.parse also takes what is no HTTP date, such as "1.5" or "-1", for a year or a month.
  const time = /^[A-Z][a-z]{2},? .*GMT$/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(time) ? 0 : Math.max(0, time - now);
}
