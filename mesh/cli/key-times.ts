import { UsageError } from './errors.ts';

const UNITS_MS: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000 };
/** `90d`, `24h`, `30m` */
const DURATION = /^(\d{1,6})([mhd])$/;
/** A day, or a time in UTC to the minute or finer. */
const DATE = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?Z)?$/;
/** Ten years: more is a slip of the finger. */
const LIFE_MS_MAX = 3_660 * 86_400_000;
/** An overlap that lasts longer is no rotation. */
const OVERLAP_MS_MAX = 90 * 86_400_000;

/**
 * The time at which a key expires.
 *
 * @param given `90d` from now on, or a date or time in UTC.
 * @returns milliseconds since 1970, at most ten years ahead.
 * @throws UsageError
 */
export function readExpiry(given: string, now: number): number {
  const at = DATE.test(given) ? Date.parse(given) : now + (readDuration(given) ?? NaN);
  if (at > now && at - now <= LIFE_MS_MAX) return at;
  const what = at <= now ? 'is over' : 'is not understood, or is more than ten years ahead';
  throw new UsageError(
    `--expires ${given} ${what}: give a time to come, such as 90d, 12h, 2030-01-31 or ` +
      '2030-01-31T18:00Z',
  );
}

/** How long two secrets are valid, in milliseconds; `0` is none. @throws UsageError */
export function readOverlap(given: string): number {
  const ms = given === '0' ? 0 : readDuration(given);
  if (ms !== undefined && ms <= OVERLAP_MS_MAX) return ms;
  throw new UsageError(`--overlap ${given} must be 0, or up to 90d, such as 24h, 30m or 7d`);
}

/** `2030-01-31 18:00`, which is UTC; a dash if there is none. */
export function formatTime(time: string | null): string {
  return time === null ? '—' : time.replace('T', ' ').slice(0, 16);
}

function readDuration(given: string): number | undefined {
  const [, count = '', unit = ''] = DURATION.exec(given) ?? [];
  const unitMs = UNITS_MS[unit];
  return unitMs === undefined ? undefined : Number(count) * unitMs;
}
