import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { spawnDetached, stopProcess } from '../../../mesh/servers/detached-process.ts';
import { untilReady } from '../../../mesh/servers/until-ready.ts';
import { NODE_ENVIRONMENT } from '../../../mesh/local/services.ts';
import type { Scope } from './scope.ts';
import { endWithUs } from '../../support/end-with-us.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const LINES_KEPT = 20;

export interface ProgramOptions {
  name: string;
  /** From the root of the project. */
  file: string;
  environment: NodeJS.ProcessEnv;
  nodeFlags?: string[];
  /** Part of the line that it prints when it can be used. */
  readyLine: string;
  /** Node writes a CPU profile there when the program ends. */
  profileFolder?: string | undefined;
}

export interface Program {
  name: string;
  pid: number;
  stop: () => Promise<void>;
}

/** Starts one of our programs in a process of its own and waits until it is ready. */
export async function startProgram(scope: Scope, options: ProgramOptions): Promise<Program> {
  const { name, file, environment, nodeFlags = [], readyLine, profileFolder } = options;
  const profiling =
    profileFolder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`];
  const child = await spawnDetached(process.execPath, [...nodeFlags, ...profiling, file], {
    cwd: ROOT,
    env: { ...NODE_ENVIRONMENT, ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  endWithUs(child);
  const stop = async () => void (await stopProcess(child, STOP_STEPS));
  scope.defer(stop);

  let isReady = false;
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream! }).on('line', (line) => {
      isReady ||= line.includes(readyLine);
      lines.push(line);
      if (lines.length > LINES_KEPT) lines.shift();
    });
  }
  await untilReady(child, () => Promise.resolve(isReady), {
    name,
    deadlineMs: 30_000,
    readLog: () => lines.join('\n'),
  });
  return { name, pid: child.pid, stop };
}

/** A counter commits what it holds first. */
const STOP_STEPS = [
  { signal: 'SIGTERM', waitMs: 50_000 },
  { signal: 'SIGKILL', waitMs: 5_000 },
] as const satisfies { signal: NodeJS.Signals; waitMs: number }[];
