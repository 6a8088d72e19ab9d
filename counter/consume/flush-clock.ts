import { STALENESS_MS_MAX } from '../../schema/bounds.ts';

const SAFETY_MS = 500;
/** Spreads services that started together over a short time. */
const JITTER_MS_MAX = 250;
/** A batch is collected for at least this long, however slow the database is. */
const AGE_MS_MIN = 500;
const DURATIONS_KEPT = 10;

/** Decides at which age of the oldest increment a flush must start. */
export interface FlushClock {
  /** The age in milliseconds at which a flush is due. */
  dueAgeMs: () => number;
  /** To be called with the duration of each flush, including waits for locks. */
  record: (durationMs: number) => void;
}

/**
 * A flush is due when the oldest increment reaches the interval, or earlier if its *commit* would be late
 * otherwise: at ten seconds less twice the longest of the recent flushes.
 */
export function createFlushClock(intervalMs: number): FlushClock {
  const durations: number[] = [];
  let jitterMs = Math.random() * JITTER_MS_MAX;
  return {
    dueAgeMs: () => {
      const longestMs = Math.max(0, ...durations);
      const latest = Math.min(intervalMs, STALENESS_MS_MAX - 2 * longestMs - SAFETY_MS);
      return Math.max(Math.min(AGE_MS_MIN, intervalMs), latest - jitterMs);
    },
    record: (durationMs) => {
      durations.push(durationMs);
      if (durations.length > DURATIONS_KEPT) durations.shift();
      jitterMs = Math.random() * JITTER_MS_MAX;
    },
  };
}
