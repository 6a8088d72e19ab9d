import { performance } from 'node:perf_hooks';

/** What is tried every second and fails for the same reason is said once in this time. */
const REPEAT_MS = 60_000;
/** Reasons that are remembered; one more, and the oldest may be said again too soon. */
const REASONS_MAX = 16;

/** Warns at once of what is new, and of what goes on only from time to time. */
export function throttleWarnings(
  log: { warn: (line: string) => void },
  readTimeMs = () => performance.now(),
): (line: string) => void {
  const saidAt = new Map<string, number>();
  return (line) => {
    const nowMs = readTimeMs();
    if (nowMs - (saidAt.get(line) ?? -Infinity) < REPEAT_MS) return;
    saidAt.delete(line);
    saidAt.set(line, nowMs);
    for (const oldest of saidAt.keys()) {
      if (saidAt.size <= REASONS_MAX) break;
      saidAt.delete(oldest);
    }
    log.warn(line);
  };
}
