import { performance } from 'node:perf_hooks';

/** Node keeps a timer for 24.8 days at most, and fires a longer one at once. */
const TIMER_MS_MAX = 2_147_483_647;

/** Sleeps until a time that can come closer meanwhile. */
export interface DeadlineTimer {
  /** Resolves when the time has come or come closer; whoever sleeps looks again. */
  sleep: () => Promise<void>;
  /** To be told whenever the time may have come closer. */
  check: () => void;
}

/** @param readTime a time of performance.now(); Infinity where there is nothing to wait for. */
export function createDeadlineTimer(readTime: () => number): DeadlineTimer {
  let setTo = -Infinity;
  let ring = () => {};

  function sleep(): Promise<void> {
    setTo = readTime();
    return new Promise((resolve) => {
      const waitMs = Math.max(0, Math.ceil(setTo - performance.now()));
      const timer = waitMs <= TIMER_MS_MAX ? setTimeout(() => ring(), waitMs) : undefined;
      ring = () => {
        clearTimeout(timer);
        setTo = -Infinity;
        resolve();
      };
    });
  }

  return {
    sleep,
    check: () => {
      if (readTime() < setTo) ring();
    },
  };
}
