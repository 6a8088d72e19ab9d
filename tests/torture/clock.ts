// Loaded before a service (`node --import`): its clock is off by CLOCK_AHEAD_MS, as that of a
// machine whose time nobody keeps. Monotonic time is left alone, since no clock error moves it.

const aheadMs = Number(process.env.CLOCK_AHEAD_MS ?? 0);
const TrueDate = Date;

class MovedDate extends TrueDate {
  constructor(...parts: [] | [number | string | Date]) {
    if (parts.length === 0) super(TrueDate.now() + aheadMs);
    else super(...parts);
  }

  static override now(): number {
    return TrueDate.now() + aheadMs;
  }
}

if (aheadMs !== 0) globalThis.Date = MovedDate as DateConstructor;
