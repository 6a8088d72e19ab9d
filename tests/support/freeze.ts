import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { findProcessTree } from './process-tree.ts';
import { until } from './until.ts';

/** Stops a process with SIGSTOP and waits until it stands: the signal takes a moment on a busy machine. */
export async function freeze(stoppable: {
  pid: number;
  kill: (signal: NodeJS.Signals) => void;
}): Promise<void> {
  stoppable.kill('SIGSTOP');
  const isFrozen = (state: string) => state.startsWith('T');
  await until('a frozen process', () => readState(stoppable.pid), isFrozen);
}

/** Does so with a process and all that it has started, and waits until none moves. @returns their pids. */
export async function freezeTree(root: number): Promise<number[]> {
  const stop = () => {
    const tree = findProcessTree(root);
    const moving = tree.filter(({ state }) => state !== 'T');
    for (const { pid } of moving) sendSignal(pid, 'SIGSTOP');
    return moving.length === 0 && tree.map(({ pid }) => pid);
  };
  return await until('frozen processes', stop);
}

/** What has just ended takes none. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Linux is read directly, as slim images have no ps. */
function readState(pid: number): string {
  return process.platform === 'linux'
    ? (readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1) ?? '')
    : execFileSync('ps', ['-o', 'state=', '-p', String(pid)], { encoding: 'utf8' });
}
