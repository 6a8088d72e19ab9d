import { setTimeout as delay } from 'node:timers/promises';
import { createLabeller, type LabelledLine } from './label-lines.ts';
import type { ServiceLog } from './log-files.ts';
import { mergeLogs, type LogSource } from './merge-logs.ts';
import { openLog, type LogReader } from './read-log.ts';

/** How long a line may wait until it is read. */
const LOOK_MS = 250;

/**
 * Lines of all logs by time; of those that follow, the ones that were written since the last look.
 *
 * @param find the logs as they are now: a service may be started meanwhile.
 * @param options.signal ends the following.
 */
export async function* followLogs(
  find: () => ServiceLog[],
  options: { follows: boolean; sinceMs: number; signal?: AbortSignal },
): AsyncGenerator<LabelledLine & { name: string }> {
  const { follows, sinceMs, signal } = options;
  const opened = new Map<string, { reader: LogReader; source: LogSource }>();
  try {
    for (;;) {
      for (const log of find()) if (!opened.has(log.id)) opened.set(log.id, open(log));
      yield* mergeLogs([...opened.values()].map(({ source }) => source));
      if (!follows || signal?.aborted === true) return;
      await delay(LOOK_MS);
    }
  } finally {
    for (const { reader } of opened.values()) reader.close();
  }

  function open({ id, name }: ServiceLog): { reader: LogReader; source: LogSource } {
    const findPaths = () => find().find((log) => log.id === id)?.paths ?? [];
    const reader = openLog(findPaths, sinceMs);
    const label = createLabeller();
    // The end of a line that is being written comes at the next look.
    const read = () => reader.next() ?? (follows ? undefined : reader.rest());
    const next = () => {
      for (let line = read(); line !== undefined; line = read()) {
        const labelled = label(line);
        if (labelled !== undefined) return labelled;
      }
      return undefined;
    };
    return { reader, source: { name, next } };
  }
}
