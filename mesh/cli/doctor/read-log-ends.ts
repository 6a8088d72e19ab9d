import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import type { LogLevelName } from '../../local/log-entry.ts';
import { createLabeller } from '../logs/label-lines.ts';
import { findLogs } from '../logs/log-files.ts';

/** Of each log. */
const LINES_MAX = 20;
/** What is read of a log's end. */
const BYTES_MAX = 512 * 1024;

export interface LogEnd {
  name: string;
  /** Warnings and errors, the youngest last; of the same ones the last. */
  lines: LogLine[];
}

export interface LogLine {
  /** When it was written last; null if nothing says it. */
  at: string | null;
  level: LogLevelName;
  message: string;
  count: number;
}

/** The last warnings and errors of each log of a data folder. */
export function readLogEnds(dataDir: string): LogEnd[] {
  const ends = findLogs(dataDir).map(({ name, paths }) => ({
    name,
    lines: summarize(readEnd(paths)),
  }));
  return ends.filter(({ lines }) => lines.length > 0);
}

/** Lines that differ in nothing but numbers are the same. */
export function summarize(lines: string[]): LogLine[] {
  const label = createLabeller();
  const found = new Map<string, LogLine>();
  for (const line of lines) {
    const labelled = label(line);
    const level = labelled?.entry.level;
    if (labelled === undefined || !(level === 'warn' || level === 'error' || level === 'fatal'))
      continue;
    const { message, timeMs } = labelled.entry;
    const kind = `${level} ${message.replaceAll(/\d+/g, '0')}`;
    const count = (found.get(kind)?.count ?? 0) + 1;
    const at = timeMs === undefined ? null : new Date(timeMs).toISOString();
    // To the end, where the youngest is.
    found.delete(kind);
    found.set(kind, { at, level, message, count });
  }
  return [...found.values()].slice(-LINES_MAX);
}

/** The last whole lines, of the file before too if the current one has few. */
function readEnd(paths: string[]): string[] {
  const parts: string[][] = [];
  let left = BYTES_MAX;
  for (const path of paths.toReversed()) {
    if (left <= 0) break;
    const { lines, bytes } = readEndOf(path, left);
    parts.unshift(lines);
    left -= bytes;
  }
  return parts.flat();
}

function readEndOf(path: string, bytesMax: number): { lines: string[]; bytes: number } {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  let file: number;
  try {
    file = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch {
    // Set aside meanwhile, a link, or another user's: what the other logs say is worth more.
    return { lines: [], bytes: 0 };
  }
  try {
    const { size } = fstatSync(file);
    const bytes = Math.min(size, bytesMax);
    const end = Buffer.alloc(bytes);
    readSync(file, end, 0, bytes, size - bytes);
    const lines = end.toString('utf8').split('\n');
    return { lines: bytes < size ? lines.slice(1) : lines, bytes };
  } finally {
    closeSync(file);
  }
}
