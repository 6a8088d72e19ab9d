import {
  describeExit,
  stopProcess,
  type BeforeRun,
  type DetachedProcess,
  type StopStep,
} from '../servers/detached-process.ts';
import { advance, INITIAL_STATE, type Action, type SupervisorEvent } from './supervisor-state.ts';

/** Something to keep running: how to start it, when it is ready and how to stop it. */
export interface Program {
  name: string;
  launch(beforeRun: BeforeRun): Promise<DetachedProcess>;
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
  /** The first readiness. Rejects when the first start fails; then nothing is left running. */
  readonly ready: Promise<void>;
  /** Stops the process gracefully and starts it again; resolves when it is ready. */
  restart(): Promise<void>;
  stop(): Promise<void>;
  stopAtOnce(): Promise<void>;
}

/**
 * Starts a program, and starts it again whenever it ends, until it is stopped. A first start that
 * fails is not repeated. This runs the processes; supervisor-state.ts decides what comes next.
 *
 * @param options.beforeRun called with the pid of each new process, before the program runs in it.
 * @param options.onLaunch called once `pid` is that of a new process.
 */
export function supervise(
  program: Program,
  options: { say: (line: string) => void; beforeRun: BeforeRun; onLaunch: () => void },
): Supervised {
  const { name } = program;
  const { say, beforeRun, onLaunch } = options;
  let state = INITIAL_STATE;
  let current: DetachedProcess | undefined;
  let pid: number | undefined;
  let lastEnd = '';
  let pauseTimer: NodeJS.Timeout | undefined;
  let stopSteps = program.stopSteps;
  let stopping: Promise<void> | undefined;
  let nextReady = createDeferred();
  const { promise: ready } = nextReady;
  const stopped = createDeferred();
  void launch();

  return {
    program,
    get pid() {
      return pid;
    },
    ready,
    restart() {
      if (state.phase === 'running') nextReady = createDeferred();
      handle('restart');
      return nextReady.promise;
    },
    stop,
    stopAtOnce() {
      stopSteps = [
        { signal: program.endAtOnce, waitMs: 3000 },
        { signal: 'SIGKILL', waitMs: 3000 },
      ];
      return stop();
    },
  };

  async function stop(): Promise<void> {
    handle('stop');
    await stopped.promise;
    await stopping;
  }

  function handle(event: SupervisorEvent, livedMs?: number): void {
    const { state: next, action } = advance(state, event, livedMs);
    state = next;
    if (state.phase !== 'pausing') clearTimeout(pauseTimer);
    if (state.phase === 'stopped') {
      nextReady.reject(new Error(`${name} was stopped`));
      stopped.resolve();
    }
    if (action !== undefined) act(action);
  }

  function act(action: Action): void {
    switch (action) {
      case 'launch':
        return void launch();
      case 'stop process':
        stopping = stopCurrent();
        return;
      case 'pause':
        say(`${name} ${lastEnd}; starting it again in ${state.pauseMs} ms`);
        nextReady = createDeferred();
        pauseTimer = setTimeout(() => handle('pause over'), state.pauseMs);
    }
  }

  async function launch(): Promise<void> {
    const launchedAt = performance.now();
    let launched: DetachedProcess;
    current = undefined;
    try {
      launched = current = await program.launch(beforeRun);
    } catch (error) {
      lastEnd = 'did not start';
      fail(error as Error);
      return handle('launch failed');
    }
    pid = launched.pid;
    handle('launched');
    try {
      onLaunch();
      await program.ready(launched);
      succeed();
      handle('ready');
    } catch (error) {
      fail(error as Error);
      handle('not ready');
    }
    lastEnd = `(pid ${pid}) ${describeExit(await launched.exited)}`;
    handle('exited', performance.now() - launchedAt);
  }

  function succeed(): void {
    // Otherwise it is being stopped already.
    if (state.phase !== 'starting') return;
    if (state.hasServed) say(`${name} is back (pid ${pid})`);
    nextReady.resolve();
  }

  function fail(error: Error): void {
    // A process that a restart ends while it starts is not a failure of the restart.
    if (state.phase === 'restarting') return;
    nextReady.reject(error);
    if (state.hasServed && state.phase !== 'stopping') say(error.message);
  }

  async function stopCurrent(): Promise<void> {
    if (current === undefined) return;
    const asked = stopSteps[0]?.signal;
    const used = await stopProcess(current, stopSteps);
    if (used === asked) return;
    say(
      `${name} did not stop at ${asked}: ${used === undefined ? 'it still runs' : `${used} ended it`}`,
    );
  }
}

/** A rejection that nothing waits for is not an error. */
function createDeferred(): PromiseWithResolvers<void> {
  const resolvers = Promise.withResolvers<void>();
  resolvers.promise.catch(() => {});
  return resolvers;
}
