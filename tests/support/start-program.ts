import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Test } from 'tap';
import { endWithUs } from './end-with-us.ts';
import { inheritedEnvironment } from './inherited-environment.ts';
import { send } from './load.ts';
import { until } from './until.ts';

const READY_MS_MAX = 60_000;

export interface StartedProgram {
  /** All that it has printed. */
  output: () => string;
}

/**
 * Starts a server of another maker, which ends with the test.
 *
 * @param readyUrl answers 200 once it is ready.
 * @throws Error with what it printed where it ends before.
 */
export async function startProgram(
  t: Test,
  program: string,
  { args, readyUrl }: { args: string[]; readyUrl: string },
): Promise<StartedProgram> {
  const child = spawn(program, args, {
    env: inheritedEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const exited = once(child, 'exit');
  endWithUs({ pid: child.pid ?? 0, exited });
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await exited;
  });
  const isReady = async () => {
    if (child.exitCode !== null) throw new Error(`${program} has ended:\n${output}`);
    return await send(readyUrl).then(
      ({ status }) => status === 200,
      () => false,
    );
  };
  await until(`${program} is ready`, isReady, Boolean, READY_MS_MAX);
  return { output: () => output };
}
