import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
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

/** Linux is read directly, as slim images have no ps. */
function readState(pid: number): string {
  return process.platform === 'linux'
    ? (readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1) ?? '')
    : execFileSync('ps', ['-o', 'state=', '-p', String(pid)], { encoding: 'utf8' });
}
