/** Stored state is never older than this. */
export const STALENESS_MS_MAX = 10_000;

const SAFETY_MS = 500;
/** Spreads counters that started together over a little time. */
const JITTER_MS_MAX = 250;
/** However slow the database has been, a batch is collected for this long. */
const AGE_MS_MIN = 500;
const DURATIONS_KEPT = 10;

/** Decides when the oldest increment is old enough that a flush must start. */
export interface FlushClock {
  /** The age in milliseconds at which a flush is due. */
  dueAgeMs: () => number;
  /** To be told how long each flush took, waiting for locks included. */
  record: (durationMs: number) => void;
}

/**
 * A flush is due at the interval, counted from the oldest increment, or earlier where that is needed
 * for the *commit* to be in time: twice the worst of the recent flushes before ten seconds.
 */
export function createFlushClock(intervalMs: number): FlushClock {
  const durations: number[] = [];
  let jitterMs = Math.random() * JITTER_MS_MAX;
  return {
    dueAgeMs: () => {
      const worstMs = Math.max(0, ...durations);
      const latest = Math.min(intervalMs, STALENESS_MS_MAX - 2 * worstMs - SAFETY_MS);
      return Math.max(Math.min(AGE_MS_MIN, intervalMs), latest - jitterMs);
    },
    record: (durationMs) => {
      durations.push(durationMs);
      if (durations.length > DURATIONS_KEPT) durations.shift();
      jitterMs = Math.random() * JITTER_MS_MAX;
    },
  };
}
