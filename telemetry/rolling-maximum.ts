import { performance } from 'node:perf_hooks';

const SLOT_MS = 5_000;
/** A minute, and the slot that is being filled. */
const SLOTS = 13;

/** Keeps the value of the last minute that is farthest from 0, in slots of five seconds. */
export interface RollingMaximum {
  add: (value: number) => void;
  /** 0 where there was none. */
  read: () => number;
}

export function createRollingMaximum(): RollingMaximum {
  const slots = Array.from({ length: SLOTS }, () => ({ time: -Infinity, worst: 0 }));
  const timeNow = () => Math.floor(performance.now() / SLOT_MS);
  return {
    add: (value) => {
      const time = timeNow();
      const slot = slots[time % SLOTS]!;
      if (slot.time !== time) {
        slot.time = time;
        slot.worst = 0;
      }
      if (Math.abs(value) > Math.abs(slot.worst)) slot.worst = value;
    },
    read: () => {
      const since = timeNow() - SLOTS;
      const recent = slots.filter(({ time }) => time > since);
      return recent.reduce(
        (worst, slot) => (Math.abs(slot.worst) > Math.abs(worst) ? slot.worst : worst),
        0,
      );
    },
  };
}
