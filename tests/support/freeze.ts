import { execFileSync } from 'node:child_process';
import { until } from './until.ts';

/** Stops a process with SIGSTOP and waits until it stands: the signal takes a moment on a busy machine. */
export async function freeze(stoppable: {
  pid: number;
  kill: (signal: NodeJS.Signals) => void;
}): Promise<void> {
  stoppable.kill('SIGSTOP');
  const readState = () =>
    execFileSync('ps', ['-o', 'state=', '-p', String(stoppable.pid)], { encoding: 'utf8' }).trim();
  await until('a frozen process', readState, (state) => state.startsWith('T'));
}
