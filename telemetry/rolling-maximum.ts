import { performance } from 'node:perf_hooks';

const SLOT_MS = 5_000;
/** A minute, and the slot that is being filled. */
const SLOTS = 13;

/** The value of the last minute that is farthest from 0, kept in slots of five seconds. */
export interface RollingMaximum {
  add: (value: number) => void;
  /** 0 if there was none. */
  read: () => number;
}

export function createRollingMaximum(): RollingMaximum {
  const slots = Array.from({ length: SLOTS }, () => ({ time: -Infinity, value: 0 }));
  const timeNow = () => Math.floor(performance.now() / SLOT_MS);
  return {
    add: (value) => {
      const time = timeNow();
      const slot = slots[time % SLOTS]!;
      if (slot.time !== time) {
        slot.time = time;
        slot.value = 0;
      }
      if (Math.abs(value) > Math.abs(slot.value)) slot.value = value;
    },
    read: () => {
      const since = timeNow() - SLOTS;
      const recent = slots.filter(({ time }) => time > since);
      return recent.reduce(
        (farthest, { value }) => (Math.abs(value) > Math.abs(farthest) ? value : farthest),
        0,
      );
    },
  };
}
