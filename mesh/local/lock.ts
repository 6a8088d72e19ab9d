import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { identifyProcess } from '../servers/processes.ts';
import { StartError } from '../servers/start-error.ts';

/**
 * Makes this process the only mesh on a data folder: two brokers on one store lose data.
 *
 * The lock is a file that holds the pid of its owner and the moment that process started; a lock
 * whose owner is gone is taken over. The returned function gives it back.
 *
 * @throws StartError naming the pid of the living owner.
 */
export function acquireLock(path: string): () => void {
  const own = identifyProcess(process.pid)!;
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, own, { mode: 0o600 });
  try {
    // A link appears with its content or not at all, and only where no lock is.
    while (!tryLink(draft, path)) {
      const owner = readLock(path);
      if (owner === undefined) continue;
      const pid = Number.parseInt(owner, 10);
      if (identifyProcess(pid) === owner) throw new DataFolderInUse(path, pid);
      removeStale(path, owner);
    }
  } finally {
    rmSync(draft, { force: true });
  }
  return () => {
    if (readLock(path) === own) rmSync(path);
  };
}

class DataFolderInUse extends StartError {
  constructor(path: string, pid: number) {
    super(
      `a mesh is running on this data folder already (pid ${pid}, ${path}).\n` +
        `Stop it (kill ${pid}), or start a second one beside it: DATA_DIR=.mesh-2 PORT=3001 npm start`,
    );
  }
}

/** Another process may take the stale lock over first; then what was moved is its new one: put back. */
function removeStale(path: string, owner: string): void {
  const aside = `${path}.stale.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch {
    return;
  }
  if (readLock(aside) !== owner) tryLink(aside, path);
  rmSync(aside);
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function readLock(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new StartError(`the lock ${path} can't be read: ${(error as Error).message}`);
  }
}
