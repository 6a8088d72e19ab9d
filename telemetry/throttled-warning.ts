import { performance } from 'node:perf_hooks';

/** The same warning is logged once in this time. */
const REPEAT_MS = 60_000;
/** How many warnings are remembered; with more, the oldest may be logged again too soon. */
const WARNINGS_MAX = 16;

/** Logs a new warning at once, and one that repeats only from time to time. */
export function throttleWarnings(
  log: { warn: (line: string) => void },
  readTimeMs = () => performance.now(),
): (line: string) => void {
  const loggedAt = new Map<string, number>();
  return (line) => {
    const nowMs = readTimeMs();
    if (nowMs - (loggedAt.get(line) ?? -Infinity) < REPEAT_MS) return;
    loggedAt.delete(line);
    loggedAt.set(line, nowMs);
    for (const oldest of loggedAt.keys()) {
      if (loggedAt.size <= WARNINGS_MAX) break;
      loggedAt.delete(oldest);
    }
    log.warn(line);
  };
}
