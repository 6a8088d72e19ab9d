/** One is remembered for each of these. */
const SPACING_MS = 100;

/** When messages came to this counter service for the first time. Times are those of performance.now(). */
export interface FirstDeliveries {
  record: (sequence: number, now: number) => void;
  /** The lowest sequence of the last `keptMs`; undefined if nothing came. */
  lowestRecent: (now: number) => number | undefined;
}

export function createFirstDeliveries(keptMs: number): FirstDeliveries {
  const recent: { sequence: number; at: number }[] = [];

  function record(sequence: number, now: number): void {
    const last = recent.at(-1);
    if (last !== undefined && now - last.at < SPACING_MS) return;
    forget(now);
    recent.push({ sequence, at: now });
  }

  function forget(now: number): void {
    while (recent[0] !== undefined && now - recent[0].at >= keptMs) recent.shift();
  }

  return {
    record,
    lowestRecent: (now) => {
      forget(now);
      return recent[0]?.sequence;
    },
  };
}
