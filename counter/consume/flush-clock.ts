import { STALENESS_MS_MAX } from '../../schema/bounds.ts';

const SAFETY_MS = 500;
/** Spreads services that started together over a short time. */
const JITTER_MS_MAX = 250;
/** A batch is collected for at least this long, however slow the database is. */
const AGE_MS_MIN = 500;
const FLUSHES_KEPT = 10;
/** How long a row takes, until a flush has shown it. */
const ROW_MS = 0.02;
/** A flush of fewer rows does not show it: it takes some milliseconds, whatever is in it. */
const TELLING_ROWS_MIN = 1_000;

/** Decides at which age of the oldest increment a flush must start. */
export interface FlushClock {
  /** The age in milliseconds at which a flush of so many rows is due. */
  dueAgeMs: (rows: number) => number;
  /** To be called with the duration of each flush, including waits for locks. */
  record: (durationMs: number, rows: number) => void;
}

/**
 * A flush is due when the oldest increment reaches the interval, or earlier if its *commit* would be late
 * otherwise: at ten seconds less twice the longest of the recent flushes, or less twice what so many rows are
 * expected to take, since a load may begin at once.
 */
export function createFlushClock(intervalMs: number): FlushClock {
  const flushes: { durationMs: number; rows: number }[] = [];
  let longestMs = 0;
  let rowMs = ROW_MS;
  let jitterMs = Math.random() * JITTER_MS_MAX;
  return {
    dueAgeMs: (rows) => {
      const expectedMs = Math.max(longestMs, rows * rowMs);
      const latest = Math.min(intervalMs, STALENESS_MS_MAX - 2 * expectedMs - SAFETY_MS);
      return Math.max(Math.min(AGE_MS_MIN, intervalMs), latest - jitterMs);
    },
    record: (durationMs, rows) => {
      flushes.push({ durationMs, rows });
      if (flushes.length > FLUSHES_KEPT) flushes.shift();
      longestMs = Math.max(...flushes.map((flush) => flush.durationMs));
      const telling = flushes.filter((flush) => flush.rows >= TELLING_ROWS_MIN);
      const slowest = Math.max(...telling.map((flush) => flush.durationMs / flush.rows));
      rowMs = telling.length === 0 ? ROW_MS : slowest;
      jitterMs = Math.random() * JITTER_MS_MAX;
    },
  };
}
