import { setTimeout as delay } from 'node:timers/promises';
import {
  describeExit,
  stopProcess,
  type DetachedProcess,
  type StopStep,
} from '../servers/detached-process.ts';

/** Something that is kept running: how it is started, when it is ready and how it is stopped. */
export interface Program {
  name: string;
  launch(): Promise<DetachedProcess>;
  /** Resolves when it serves; rejects when it ends first or takes too long. */
  ready(process: DetachedProcess): Promise<void>;
  stopSteps: StopStep[];
  /** The signal that ends it at once and leaves nothing behind. */
  endAtOnce: NodeJS.Signals;
}

export interface Supervised {
  readonly program: Program;
  /** Of the process that runs, or ran last. */
  readonly pid: number | undefined;
  /** The first readiness. Rejects when the first start fails, and then nothing is left running. */
  readonly ready: Promise<void>;
  /** Stops the process gracefully and starts it anew; resolves when it is ready again. */
  restart(): Promise<void>;
  stop(): Promise<void>;
  stopAtOnce(): Promise<void>;
}

const BACKOFF_MS = { first: 250, max: 5000 };

/** A process that lived this long starts again from the shortest wait. */
const HEALTHY_AFTER_MS = 30_000;

/**
 * Starts a program and starts it again whenever it dies, until it is stopped. The first start is an
 * exception: what fails there is a setting or the machine, which trying again would only hide.
 *
 * @param options.onLaunch is told of each new process.
 */
export function supervise(
  program: Program,
  options: { say: (line: string) => void; onLaunch: () => void },
): Supervised {
  const { name } = program;
  const { say, onLaunch } = options;
  const firstReady = Promise.withResolvers<void>();
  // Nobody may be waiting when it fails: then the one who asks later is told.
  firstReady.promise.catch(() => {});
  let nextReady = firstReady;
  let current: DetachedProcess | undefined;
  let pid: number | undefined;
  let steps = program.stopSteps;
  let isStopping = false;
  let isRestarting = false;
  let pause = new AbortController();
  const ended = keepRunning();

  return {
    program,
    get pid() {
      return pid;
    },
    ready: firstReady.promise,
    restart,
    stop,
    stopAtOnce() {
      const last: StopStep = { signal: 'SIGKILL', waitMs: 3000 };
      steps = [{ signal: program.endAtOnce, waitMs: 3000 }, last];
      return stop();
    },
  };

  async function keepRunning(): Promise<void> {
    let backoffMs = BACKOFF_MS.first;
    while (!isStopping) {
      const launchedAt = performance.now();
      try {
        await launchOnce();
        if (nextReady !== firstReady) say(`${name} is back (pid ${pid})`);
        nextReady.resolve();
      } catch (error) {
        // What a restart ends while it is still starting is no failure of the restart.
        if (!isRestarting) nextReady.reject(error);
        if (nextReady === firstReady) return giveUp();
        if (!isStopping && !isRestarting) say((error as Error).message);
      }

      const exit = await current?.exited;
      if (isStopping) return;
      if (!isRestarting) {
        nextReady = Promise.withResolvers<void>();
        nextReady.promise.catch(() => {});
        if (performance.now() - launchedAt >= HEALTHY_AFTER_MS) backoffMs = BACKOFF_MS.first;
        const how = exit === undefined ? 'did not start' : `(pid ${pid}) ${describeExit(exit)}`;
        say(`${name} ${how}; starting it again in ${backoffMs} ms`);
        await delay(backoffMs, undefined, { signal: pause.signal }).catch(() => {});
        backoffMs = Math.min(backoffMs * 2, BACKOFF_MS.max);
      }
      isRestarting = false;
    }
  }

  async function launchOnce(): Promise<void> {
    current = undefined;
    current = await program.launch();
    pid = current.pid;
    onLaunch();
    // A stop that came while it was being launched has not seen it.
    if (isStopping) await stopProcess(current, steps);
    await program.ready(current);
  }

  async function giveUp(): Promise<void> {
    isStopping = true;
    if (current !== undefined) await stopProcess(current, steps);
  }

  async function restart(): Promise<void> {
    const { promise } = (nextReady = Promise.withResolvers<void>());
    isRestarting = true;
    // It may be waiting to be started again: then that wait ends here.
    pause.abort();
    pause = new AbortController();
    if (current !== undefined) await stopProcess(current, steps);
    await promise;
  }

  async function stop(): Promise<void> {
    isStopping = true;
    pause.abort();
    if (current !== undefined) {
      const used = await stopProcess(current, steps);
      if (used !== steps[0]?.signal)
        say(`${name} did not stop when asked to: ${used ?? 'still there'}`);
    }
    await ended;
  }
}
