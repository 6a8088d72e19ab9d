import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs';
import { createLineSplitter } from './split-lines.ts';

/** Reads a log line by line, from its oldest file to the one that is written. */
export interface LogReader {
  /** Undefined if there is no more at the moment. */
  next: () => string | undefined;
  /** The line that has no end yet. */
  rest: () => string | undefined;
  close: () => void;
}

const PART_BYTES = 64 * 1024;
const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;

/**
 * Goes on across a rotation: a file is read to its end, by whatever name, before the next one.
 *
 * @param findPaths the files as they are now, the oldest first.
 * @param sinceMs files that were not written after this time are left out.
 */
export function openLog(findPaths: () => string[], sinceMs = -Infinity): LogReader {
  const part = Buffer.allocUnsafe(PART_BYTES);
  const splitter = createLineSplitter();
  let lines: string[] = [];
  let file: { descriptor: number; id: string; position: number } | undefined;
  let hasNext = false;

  return {
    next() {
      for (;;) {
        const line = lines.shift();
        if (line !== undefined) return line;
        if (read()) continue;
        if (!goOn()) return undefined;
      }
    },
    rest: () => splitter.rest(),
    close() {
      if (file !== undefined) closeSync(file.descriptor);
      file = undefined;
    },
  };

  function read(): boolean {
    if (file === undefined) return false;
    // Somebody has emptied it.
    if (fstatSync(file.descriptor).size < file.position) file.position = 0;
    const bytes = readSync(file.descriptor, part, 0, PART_BYTES, file.position);
    file.position += bytes;
    lines = splitter.push(part.subarray(0, bytes));
    return bytes > 0;
  }

  /** To the next file; only after another look at this one, which may have grown before it was set aside. */
  function goOn(): boolean {
    const next = findNext();
    if (next === undefined) return false;
    const isFirstLook = file !== undefined && !hasNext;
    hasNext = isFirstLook;
    if (isFirstLook) return true;
    const opened = open(next);
    // Set aside meanwhile, or removed: then there is another next one.
    if (opened === undefined) return true;
    const rest = splitter.rest();
    if (rest !== undefined) lines = [rest];
    if (file !== undefined) closeSync(file.descriptor);
    file = opened;
    return true;
  }

  function findNext(): { path: string; id: string } | undefined {
    const found = findPaths().flatMap((path) => {
      const stats = lstatSync(path, { throwIfNoEntry: false });
      return stats?.isFile() === true ? [{ path, id: idOf(stats), writtenMs: stats.mtimeMs }] : [];
    });
    // One that is gone was older than all that are there.
    const at = found.findIndex(({ id }) => id === file?.id);
    return found.slice(at + 1).find(({ writtenMs }) => writtenMs >= sinceMs);
  }
}

function open({ path, id }: { path: string; id: string }) {
  try {
    // O_NONBLOCK: a named pipe would be waited for.
    const descriptor = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (idOf(fstatSync(descriptor)) === id) return { descriptor, id, position: 0 };
    closeSync(descriptor);
    return undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function idOf({ dev, ino }: { dev: number; ino: number }): string {
  return `${dev} ${ino}`;
}
