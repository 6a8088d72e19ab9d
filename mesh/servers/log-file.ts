import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { StartError } from './start-error.ts';

/** Each log keeps so many files of this size, as in compose.yaml: the current one, and `.1`, `.2` before it. */
export const LOG_BYTES_MAX = 10 * 1024 * 1024;
export const LOG_FILES_MAX = 3;

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants;

/**
 * Opens a log to append to; one that is too large, or that has another name too, is set aside as
 * `<path>.1` first.
 *
 * @throws StartError where it is a link or no file: what is written would land elsewhere.
 */
export function openLogFile(path: string, bytesMax = LOG_BYTES_MAX): number {
  // Whoever made room by removing the folder must not keep a server from being started again.
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const found = lstatSync(path, { throwIfNoEntry: false });
  const isFull = found !== undefined && found.size > bytesMax;
  const hasOtherName = found?.isFile() === true && found.nlink > 1;
  if (isFull || hasOtherName) setAside(path);
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

/** The oldest file makes room. */
function setAside(path: string): void {
  for (let number = LOG_FILES_MAX - 1; number > 0; number -= 1) {
    const younger = number === 1 ? path : `${path}.${number - 1}`;
    if (existsSync(younger)) renameSync(younger, `${path}.${number}`);
  }
}

/** A log that is set aside whenever it is full. No line is lost at that. */
export interface RotatedLog {
  /** @throws the error of the disk; the line is not kept then, and the next one is tried again. */
  write: (line: string) => void;
  close: () => void;
}

export function openRotatedLog(path: string, bytesMax = LOG_BYTES_MAX): RotatedLog {
  let log: number | undefined = openLogFile(path, bytesMax);
  let size = fstatSync(log).size;

  return {
    write(line) {
      if (size > bytesMax) close();
      if (log === undefined) {
        log = openLogFile(path, bytesMax);
        size = fstatSync(log).size;
      }
      size += writeSync(log, `${line}\n`);
    },
    close,
  };

  function close(): void {
    if (log !== undefined) closeSync(log);
    log = undefined;
  }
}

function notOurs(path: string): StartError {
  return new StartError(
    `the log ${path} is a link or no plain file, so what is written would land elsewhere: remove it`,
  );
}

/** The last lines of logs that are there, indented, so that an error need not send its reader to a file. */
export function readLogTails(paths: (string | undefined)[]): string {
  const found = paths.filter((path) => path !== undefined && existsSync(path));
  return found
    .map((path) => readLogTail(path!))
    .filter((tail) => tail.trim() !== '')
    .join('\n');
}

/** The last lines, indented. */
export function readLogTail(path: string, lines = 8): string {
  const tail = readEnd(path).trimEnd().split('\n').slice(-lines);
  return tail.map((line) => `    ${line}`).join('\n');
}

/** Eight lines of a start have a few kilobytes. */
const TAIL_BYTES_MAX = 64 * 1024;

function readEnd(path: string): string {
  const log = openSync(path, constants.O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const { size } = fstatSync(log);
    const bytes = Math.min(size, TAIL_BYTES_MAX);
    const end = Buffer.alloc(bytes);
    readSync(log, end, 0, bytes, size - bytes);
    return end.toString('utf8');
  } finally {
    closeSync(log);
  }
}
