// Loaded before a service (`node --import`): its clock is off by CLOCK_AHEAD_MS, as that of a
// machine whose time nobody keeps. Monotonic time is left alone, since no clock error moves it.
import crypto, { type UUID } from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';

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

// Node makes these ids by the system's clock, without a look at Date.
const { randomUUIDv7 } = crypto;
function movedUUIDv7(): UUID {
  const id = randomUUIDv7();
  const time = Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) + aheadMs;
  const digits = time.toString(16).padStart(12, '0');
  return `${digits.slice(0, 8)}-${digits.slice(8)}${id.slice(13)}` as UUID;
}

if (aheadMs !== 0) {
  globalThis.Date = MovedDate as DateConstructor;
  crypto.randomUUIDv7 = movedUUIDv7;
  syncBuiltinESMExports();
}
