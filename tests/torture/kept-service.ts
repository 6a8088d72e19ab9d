import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { endWithUs } from '../support/end-with-us.ts';
import { inheritedEnvironment } from '../support/inherited-environment.ts';

const CLOCK = fileURLToPath(new URL('./clock.ts', import.meta.url));
/** What it said last is most of the story. */
const LAST_LINES = 3;
/** After a SIGTERM; a counter's last flush with its retries fits into it. */
const STOP_MS_MAX = 50_000;

/** A gateway or counter that is started again at once, whenever and however it ends. */
export interface KeptService {
  readonly name: string;
  /** Ends of its own, with nobody having killed it: each is a defect. */
  readonly unexpectedEnds: string[];
  kill: () => Promise<void>;
  freeze: () => void;
  thaw: () => void;
  /** Starts it again, by kill -9, with its clock off by this. */
  moveClock: (aheadMs: number) => Promise<void>;
  stop: () => Promise<void>;
}

export interface KeptServiceOptions {
  name: string;
  /** The folder of the program, and the file in it. */
  root: string;
  program: string;
  logFile: string;
  /** At its first start. */
  clockAheadMs: number;
  environment: NodeJS.ProcessEnv;
}

export function keepService(options: KeptServiceOptions): KeptService {
  const { name, root, program, environment } = options;
  const unexpectedEnds: string[] = [];
  const log = openSync(options.logFile, 'a');
  let { clockAheadMs } = options;
  let isStopping = false;
  let child = launch();

  function launch(): ChildProcess {
    const launched = spawn(process.execPath, ['--import', CLOCK, program], {
      cwd: root,
      env: {
        ...inheritedEnvironment(),
        ...environment,
        CLOCK_AHEAD_MS: String(clockAheadMs),
      },
      stdio: ['ignore', log, log],
    });
    endWithUs({ pid: launched.pid ?? 0, exited: once(launched, 'exit') });
    launched.once('exit', (code, signal) => {
      if (isStopping) return;
      if (signal !== 'SIGKILL') {
        const lines = readFileSync(options.logFile, 'utf8').trimEnd().split('\n');
        const words = lines.slice(-LAST_LINES).join('\n    ');
        unexpectedEnds.push(`${name} ended by itself (${signal ?? code}):\n    ${words}`);
      }
      child = launch();
    });
    return launched;
  }

  async function kill(): Promise<void> {
    const victim = child;
    if (victim.exitCode !== null || victim.signalCode !== null) return;
    victim.kill('SIGKILL');
    await once(victim, 'exit');
  }

  async function stop(): Promise<void> {
    isStopping = true;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGCONT');
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
    await exited;
    clearTimeout(timer);
  }

  return {
    name,
    unexpectedEnds,
    kill,
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    moveClock: async (aheadMs) => {
      clockAheadMs = aheadMs;
      await kill();
    },
    stop,
  };
}
