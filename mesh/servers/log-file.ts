import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  renameSync,
} from 'node:fs';
import { StartError } from './start-error.ts';

/** Each log keeps twice this much: the current file and the one before it. */
export const LOG_BYTES_MAX = 10 * 1024 * 1024;

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants;

/**
 * Opens a log to append to; one that is too large, or that has another name too, is renamed to `<path>.1`
 * first.
 *
 * @throws StartError where it is a link or no file: what is written would land elsewhere.
 */
export function openLogFile(path: string): number {
  const found = lstatSync(path, { throwIfNoEntry: false });
  const isFull = found !== undefined && found.size > LOG_BYTES_MAX;
  const hasOtherName = found?.isFile() === true && found.nlink > 1;
  if (isFull || hasOtherName) renameSync(path, `${path}.1`);
  let log: number;
  try {
    // O_NONBLOCK: a named pipe would be waited for.
    log = openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw code === 'ELOOP' || code === 'ENXIO' ? notOurs(path) : error;
  }
  if (fstatSync(log).isFile()) return log;
  closeSync(log);
  throw notOurs(path);
}

function notOurs(path: string): StartError {
  return new StartError(
    `the log ${path} is a link or no plain file, so what is written would land elsewhere: remove it`,
  );
}

/** The last lines, indented, so that an error need not send its reader to a file. */
export function readLogTail(path: string, lines = 8): string {
  const tail = readFileSync(path, 'utf8').trimEnd().split('\n').slice(-lines);
  return tail.map((line) => `    ${line}`).join('\n');
}
