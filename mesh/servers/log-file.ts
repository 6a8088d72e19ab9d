import { openSync, readFileSync, renameSync, statSync } from 'node:fs';

/** Twice this much is kept of each log: the current file and the one before it. */
export const LOG_BYTES_MAX = 10 * 1024 * 1024;

/** Opens a log to append to; one that has grown too large becomes `<path>.1` first. */
export function openLogFile(path: string): number {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LOG_BYTES_MAX) renameSync(path, `${path}.1`);
  return openSync(path, 'a', 0o600);
}

/** The last lines, indented, for an error that would otherwise send the reader to a file. */
export function readLogTail(path: string, lines = 8): string {
  const tail = readFileSync(path, 'utf8').trimEnd().split('\n').slice(-lines);
  return tail.map((line) => `    ${line}`).join('\n');
}
