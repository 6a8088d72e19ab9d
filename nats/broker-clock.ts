/** This machine's two clocks: the one that can be set, and the one that stops while it sleeps. */
export interface Clocks {
  /** Milliseconds since 1970. */
  wallMs: number;
  /** A time of performance.now(). */
  monotonicMs: number;
}

/** Clocks that move apart by this much: one was set, or the machine has slept. */
const CLOCKS_APART_MS_MAX = 10_000;

/** What time it is at the broker, from what it was once. */
export interface BrokerClock {
  readonly isSet: boolean;
  set: (brokerMs: number, now: Clocks) => void;
  clear: () => void;
  /** Milliseconds since 1970; by this machine's clock where it is not set. */
  timeMs: (now: Clocks) => number;
  /** How far this machine's clock is ahead; 0 where that is not known. */
  readonly aheadMs: number;
  /** Whether it is set and this machine's clocks still go together as they did then. */
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
