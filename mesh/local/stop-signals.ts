/** npm and the terminal both deliver a Ctrl-C, about a millisecond apart: within this time it is one. */
const SAME_SIGNAL_MS = 1000;

/** Calls `stop` at the first signal and `stopAtOnce` at a second one. */
export function onStopSignals(stop: () => void, stopAtOnce: () => void): void {
  let firstAt: number | undefined;
  // SIGHUP comes when the terminal is closed.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      const now = performance.now();
      if (firstAt === undefined) {
        firstAt = now;
        stop();
      } else if (now - firstAt > SAME_SIGNAL_MS) {
        stopAtOnce();
      }
    });
  }
}
