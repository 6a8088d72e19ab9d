import { spawn, type ChildProcess, type IOType, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

/** A process in a group of its own: Ctrl-C in the terminal does not reach it, so that we stop it in order. */
export interface DetachedProcess {
  readonly pid: number;
  readonly stdin: ChildProcess['stdin'];
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

/** The shell waits for a line before it becomes the program; without one it ends. */
const GATE = 'read -r _ <&3 && exec "$@" 3<&-';

type Stdio = IOType | number;

export interface DetachedOptions extends SpawnOptions {
  stdio: 'ignore' | [Stdio, Stdio, Stdio];
  /**
   * Called with the pid before the program runs under it. Where it throws, or this process dies
   * meanwhile, the program never runs.
   */
  beforeRun?: BeforeRun | undefined;
}

export type BeforeRun = (pid: number) => void;

export async function spawnDetached(
  command: string,
  args: string[],
  options: DetachedOptions,
): Promise<DetachedProcess> {
  const { beforeRun, stdio, ...others } = options;
  const child =
    beforeRun === undefined
      ? spawn(command, args, { ...others, stdio, detached: true })
      : spawn('/bin/sh', ['-c', GATE, 'sh', command, ...args], {
          ...others,
          stdio: [...(stdio === 'ignore' ? [stdio, stdio, stdio] : stdio), 'pipe'],
          detached: true,
        });
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  await once(child, 'spawn');
  if (beforeRun !== undefined) openGate(child, beforeRun);
  return {
    pid: child.pid!,
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    exited,
    // Node sends nothing to a child that is gone; its pid may be another process by now.
    kill: (signal) => void child.kill(signal),
  };
}

function openGate(child: ChildProcess, beforeRun: BeforeRun): void {
  const gate = child.stdio[3] as Writable;
  // It may have been killed already; then its exit says so.
  gate.on('error', () => {});
  try {
    beforeRun(child.pid!);
    gate.end('\n');
  } catch (error) {
    gate.destroy();
    throw error;
  }
}

/** Returns the signal that ended it; undefined where none did. */
export async function stopProcess(
  process: DetachedProcess,
  steps: StopStep[],
): Promise<NodeJS.Signals | undefined> {
  for (const { signal, waitMs } of steps) {
    process.kill(signal);
    // A frozen process sees the signal only once it is thawed.
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
