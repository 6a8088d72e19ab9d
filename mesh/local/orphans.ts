import { setTimeout as delay } from 'node:timers/promises';
import type { StopStep } from '../servers/detached-process.ts';
import { natsStopSteps } from '../servers/nats.ts';
import { postgresStopSteps } from '../servers/postgres.ts';
import { listProcesses, type RunningProcess } from '../servers/processes.ts';
import { PROXY_STOP_STEPS, SERVICE_STOP_STEPS } from './stop-steps.ts';
import { StartError } from '../servers/start-error.ts';

/**
 * Ends what a mesh that was killed left running on a data folder, in the order of a stop: services
 * first, so that they still reach their servers, then the broker, then the database.
 *
 * Must be done before anything starts: two brokers on one store folder lose acknowledged data.
 *
 * @throws StartError when one of them can't be ended.
 */
export async function endOrphans(dataFolder: string, say: (line: string) => void): Promise<void> {
  for (const { what, pattern, steps } of orphanKinds(dataFolder)) {
    const orphans = find(pattern);
    if (orphans.length === 0) continue;
    say(`ending what an earlier mesh left running: ${what} (pid ${pids(orphans)})`);
    if (!(await end(pattern, steps))) {
      throw new StartError(
        `${what} of an earlier mesh (pid ${pids(find(pattern))}) can't be ended: end it by hand.`,
      );
    }
  }
}

/**
 * Processes are known by their whole command line, as we start them: a pid in a file may belong to
 * someone else by now, and an editor or a tail that has the folder open is left alone.
 */
function orphanKinds(dataFolder: string) {
  const folder = dataFolder.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  return [
    {
      what: 'gateways and counters',
      pattern: new RegExp(
        `^(.*/)?node (?:--[a-z-]+(?:=\\d+)? )*(gateway|counter)/main\\.ts ${folder}/\\2-\\d+$`,
      ),
      steps: SERVICE_STOP_STEPS.counter,
    },
    {
      what: 'the proxy',
      pattern: new RegExp(`^(.*/)?caddy run --pidfile ${folder}/proxy\\.pid `),
      steps: PROXY_STOP_STEPS,
    },
    {
      what: 'nats-server',
      pattern: new RegExp(` -c (.*/)?nats/(server|cluster)\\.conf -P ${folder}/nats(-\\d)?\\.pid$`),
      steps: natsStopSteps,
    },
    {
      what: 'PostgreSQL',
      pattern: new RegExp(`^(.*/)?postgres -D ${folder}/postgres -p \\d+ `),
      // Never SIGKILL, which leaves its children at work on the files.
      steps: postgresStopSteps.filter(({ signal }) => signal !== 'SIGKILL'),
    },
  ] satisfies { what: string; pattern: RegExp; steps: StopStep[] }[];
}

async function end(pattern: RegExp, steps: StopStep[]): Promise<boolean> {
  for (const { signal, waitMs } of steps) {
    for (const { pid } of find(pattern)) {
      kill(pid, signal);
      // A frozen process would only see the signal when somebody thaws it.
      kill(pid, 'SIGCONT');
    }
    const deadline = performance.now() + waitMs;
    while (performance.now() < deadline) {
      if (find(pattern).length === 0) return true;
      await delay(50);
    }
  }
  return false;
}

function find(pattern: RegExp): RunningProcess[] {
  return listProcesses().filter(({ pid, command }) => pid !== process.pid && pattern.test(command));
}

/** It may have ended between the look and the signal. */
function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function pids(processes: RunningProcess[]): string {
  return processes.map(({ pid }) => pid).join(', ');
}
