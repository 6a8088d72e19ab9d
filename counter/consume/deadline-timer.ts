import { performance } from 'node:perf_hooks';

/** The longest delay of Node's timers, 24.8 days; a longer one fires at once. */
const TIMER_MS_MAX = 2_147_483_647;

/** Sleeps until a deadline that may move closer. */
export interface DeadlineTimer {
  /** Resolves at the deadline, or when it moves closer; then the caller checks what is due. */
  sleep: () => Promise<void>;
  /** To be called whenever the deadline may have moved closer. */
  check: () => void;
}

/** @param readTime the deadline as a time of performance.now(); Infinity if there is none. */
export function createDeadlineTimer(readTime: () => number): DeadlineTimer {
  let setTo = -Infinity;
  let wake = () => {};

  function sleep(): Promise<void> {
    setTo = readTime();
    return new Promise((resolve) => {
      const waitMs = Math.max(0, Math.ceil(setTo - performance.now()));
      const timer = waitMs <= TIMER_MS_MAX ? setTimeout(() => wake(), waitMs) : undefined;
      wake = () => {
        clearTimeout(timer);
        setTo = -Infinity;
        resolve();
      };
    });
  }

  return {
    sleep,
    check: () => {
      if (readTime() < setTo) wake();
    },
  };
}
