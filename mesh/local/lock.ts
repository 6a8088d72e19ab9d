import { randomUUID } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { identifyProcess } from '../servers/processes.ts';
import { StartError } from '../servers/start-error.ts';

const POLL_MS = 50;

/** Marks a lock that is held for a moment only, as by what ends an earlier mesh: its end is waited for. */
const BRIEF = ' cleanup';

/**
 * Makes this process the only one that uses a data folder, since two brokers on one store lose data; or the
 * only one that changes a file.
 *
 * The lock is a file with the pid of its owner and the moment at which that process started; where
 * the owner is gone, the lock is taken over. The returned function gives it back.
 *
 * @param options.isBrief this process gives it back in a moment: others wait for it.
 * @param options.onWait called once where another process has it so, with its pid.
 * @throws StartError with the owner's pid where a mesh runs on the folder.
 */
export async function acquireLock(
  path: string,
  options: { isBrief?: boolean; onWait?: (pid: number) => void; signal?: AbortSignal } = {},
): Promise<() => void> {
  const { isBrief = false, signal } = options;
  let { onWait } = options;
  const own = `${identifyProcess(process.pid)!}${isBrief ? BRIEF : ''}`;
  const draft = `${path}.${randomUUID()}`;
  try {
    writeFileSync(draft, own, { mode: 0o600, flag: 'wx' });
    // A link appears with its content or not at all, and only where no lock is.
    while (!tryLink(draft, path)) {
      const owner = readLock(path);
      if (owner === undefined) continue;
      const holder = findHolder(owner);
      if (holder === undefined) {
        removeStale(path, owner);
        continue;
      }
      if (!holder.isBrief) throw new DataFolderInUse(path, holder.pid);
      onWait?.(holder.pid);
      onWait = undefined;
      await delay(POLL_MS, undefined, { ...(signal && { signal }) });
    }
  } finally {
    rmSync(draft, { force: true });
  }
  return () => {
    if (readLock(path) === own) rmSync(path);
  };
}

/** Whether the process that has the lock is gone, as after a power cut. Where there is no lock, it is not known. */
export function isAbandoned(path: string): boolean {
  const owner = readLock(path);
  return owner !== undefined && findHolder(owner) === undefined;
}

/** Undefined where the process that a lock names is gone. */
function findHolder(owner: string): { pid: number; isBrief: boolean } | undefined {
  const pid = Number.parseInt(owner, 10);
  const identity = identifyProcess(pid);
  if (identity === undefined) return undefined;
  const isBrief = owner === `${identity}${BRIEF}`;
  return isBrief || owner === identity ? { pid, isBrief } : undefined;
}

class DataFolderInUse extends StartError {
  constructor(path: string, pid: number) {
    super(
      `a mesh already runs on this data folder (pid ${pid}, ${path}).\n` +
        `Stop it (kill ${pid}), or start a second mesh beside it: DATA_DIR=.mesh-2 PORT=3001 npm start`,
    );
  }
}

/** Another process may take over the stale lock first: then its new one was moved, and is put back. */
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
