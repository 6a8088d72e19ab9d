import {
  accessSync,
  chmodSync,
  constants,
  mkdirSync,
  readdirSync,
  rmSync,
  statfsSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MEMORY = '/dev/shm';
/** A broker's limit is 8 GB, whatever is stored; tests store a tenth of that. */
const FREE_BYTES_MIN = 9e9;
const DISK_VARIABLE = 'TEST_DISK_FOLDER';
const PREFIX = 'increment-mesh-tests-';

/**
 * Makes a folder for all files of a run, and makes it the temporary one; in memory where there is
 * room: what tests end are processes and never the machine, so that a disk would prove no more and
 * take half of the time.
 */
export function makeScratchFolder(): { remove: () => void } {
  const place = hasRoom(MEMORY) ? MEMORY : tmpdir();
  removeAbandoned(place);
  const path = join(place, `${PREFIX}${process.pid}`);
  mkdirSync(path);
  // PostgreSQL runs as another user where we are root.
  chmodSync(path, 0o755);
  process.env[DISK_VARIABLE] = tmpdir();
  process.env['TMPDIR'] = path;
  return { remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** The temporary folder as it was outside of the run. */
export function diskFolder(): string {
  return process.env[DISK_VARIABLE] ?? tmpdir();
}

function hasRoom(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize >= FREE_BYTES_MIN;
  } catch {
    return false;
  }
}

/** Of runs that were killed. */
function removeAbandoned(place: string): void {
  for (const name of readdirSync(place)) {
    if (!name.startsWith(PREFIX)) continue;
    if (!isRunning(Number(name.slice(PREFIX.length)))) {
      rmSync(join(place, name), { recursive: true, force: true });
    }
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
