import { openSync, readFileSync, renameSync, statSync } from 'node:fs';

/** Each log keeps twice this much: the current file and the one before it. */
export const LOG_BYTES_MAX = 10 * 1024 * 1024;

/** Opens a log to append to; one that is too large is renamed to `<path>.1` first. */
export function openLogFile(path: string): number {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LOG_BYTES_MAX) renameSync(path, `${path}.1`);
  return openSync(path, 'a', 0o600);
}

/** The last lines, indented, so that an error need not send its reader to a file. */
export function readLogTail(path: string, lines = 8): string {
  const tail = readFileSync(path, 'utf8').trimEnd().split('\n').slice(-lines);
  return tail.map((line) => `    ${line}`).join('\n');
}
