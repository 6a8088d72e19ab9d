import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

/** A process in a group of its own, out of reach of the terminal's Ctrl-C, so that we order the stop. */
export interface DetachedProcess {
  readonly pid: number;
  readonly stdout: ChildProcess['stdout'];
  readonly stderr: ChildProcess['stderr'];
  readonly exited: Promise<Exit>;
  kill(signal: NodeJS.Signals): void;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** One signal of a stop, and how long to wait for the exit before the next one is sent. */
export interface StopStep {
  signal: NodeJS.Signals;
  waitMs: number;
}

export async function spawnDetached(
  command: string,
  args: string[],
  options: SpawnOptions,
): Promise<DetachedProcess> {
  const child = spawn(command, args, { ...options, detached: true });
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  await once(child, 'spawn');
  return {
    pid: child.pid!,
    stdout: child.stdout,
    stderr: child.stderr,
    exited,
    // Node knows when the child is gone: its pid, which may be another's by then, gets no signal.
    kill: (signal) => void child.kill(signal),
  };
}

/** Returns the signal that ended it: the last one sent, which the caller may want to say. */
export async function stopProcess(
  process: DetachedProcess,
  steps: StopStep[],
): Promise<NodeJS.Signals | undefined> {
  for (const { signal, waitMs } of steps) {
    process.kill(signal);
    // A frozen process would only see the signal when somebody thaws it.
    process.kill('SIGCONT');
    if (await exitsWithin(process, waitMs)) return signal;
  }
  return undefined;
}

async function exitsWithin(process: DetachedProcess, waitMs: number): Promise<boolean> {
  const timer = new AbortController();
  const tooLate = delay(waitMs, false, { signal: timer.signal }).catch(() => false);
  const isGone = await Promise.race([process.exited.then(() => true), tooLate]);
  timer.abort();
  return isGone;
}

export function describeExit({ code, signal }: Exit): string {
  return signal === null ? `ended with code ${code}` : `was killed by ${signal}`;
}
