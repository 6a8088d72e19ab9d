import { CLOCK_AHEAD_MS_MAX } from '../schema/bounds.ts';

/** This machine's two clocks: one can be set, the other stops while the machine sleeps. */
export interface Clocks {
  /** Milliseconds since 1970. */
  wallMs: number;
  /** A time of performance.now(). */
  monotonicMs: number;
}

/** An answer that takes longer has a time that has passed. */
export const CLOCK_ANSWER_MS_MAX = 1_000;

/** If the two clocks differ by more than this, one was set or the machine has slept. */
const CLOCKS_APART_MS_MAX = 10_000;

/** Computes the time at the broker from its time at an earlier moment. */
export interface BrokerClock {
  readonly isSet: boolean;
  set: (brokerMs: number, now: Clocks) => void;
  clear: () => void;
  /** Milliseconds since 1970; by this machine's clock if it is not set. */
  timeMs: (now: Clocks) => number;
  /** How far this machine's clock is ahead; 0 if that is unknown. */
  readonly aheadMs: number;
  /** Whether it is set, and this machine's clocks have not moved apart since. */
  isReliable: (now: Clocks) => boolean;
}

export function createBrokerClock(): BrokerClock {
  /** What must be added to each of this machine's clocks. */
  let offset: Clocks | undefined;
  return {
    get isSet() {
      return offset !== undefined;
    },
    set: (brokerMs, { wallMs, monotonicMs }) => {
      offset = { wallMs: brokerMs - wallMs, monotonicMs: brokerMs - monotonicMs };
    },
    clear: () => {
      offset = undefined;
    },
    timeMs: (now) => (offset === undefined ? now.wallMs : now.monotonicMs + offset.monotonicMs),
    get aheadMs() {
      return offset === undefined ? 0 : -offset.wallMs;
    },
    isReliable: ({ wallMs, monotonicMs }) => {
      if (offset === undefined) return false;
      const apartMs = wallMs + offset.wallMs - (monotonicMs + offset.monotonicMs);
      return Math.abs(apartMs) <= CLOCKS_APART_MS_MAX;
    },
  };
}

/** Undefined for a clock that is right. @param aheadMs by how much it is ahead of the broker's. */
export function describeClock(aheadMs: number): string | undefined {
  if (Math.abs(aheadMs) <= CLOCK_AHEAD_MS_MAX) return undefined;
  const seconds = Math.round(Math.abs(aheadMs) / 1000);
  return `this machine's clock is ${seconds} s ${aheadMs > 0 ? 'ahead of' : 'behind'} the broker's`;
}
