import { setTimeout as delay } from 'node:timers/promises';
import { listProcesses, type RunningProcess } from './processes.ts';
import { StartError } from '../start-error.ts';

/**
 * Ends what a mesh that was killed left running on a data folder, in the order of a stop: services
 * first, so that they still reach their servers, then the broker, then the database.
 *
 * Must be done before anything starts: two brokers on one store folder lose acknowledged data.
 *
 * @throws StartError when one of them can't be ended.
 */
export async function endOrphans(dataFolder: string, say: (line: string) => void): Promise<void> {
  for (const { what, pattern, signals } of orphanKinds(dataFolder)) {
    const orphans = find(pattern);
    if (orphans.length === 0) continue;
    say(`ending what an earlier mesh left running: ${what} (pid ${pids(orphans)})`);
    if (!(await end(pattern, signals))) {
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
        `^(.*/)?node (?:--[a-z-]+=\\d+ )*(gateway|counter)/main\\.ts ${folder}/\\2-\\d+$`,
      ),
      signals: ['SIGTERM', 'SIGKILL'],
    },
    {
      what: 'the proxy',
      pattern: new RegExp(`^(.*/)?caddy run --pidfile ${folder}/proxy\\.pid `),
      signals: ['SIGTERM', 'SIGKILL'],
    },
    {
      what: 'nats-server',
      pattern: new RegExp(` -c (.*/)?nats/(server|cluster)\\.conf -P ${folder}/nats(-\\d)?\\.pid$`),
      signals: ['SIGTERM', 'SIGKILL'],
    },
    {
      what: 'PostgreSQL',
      pattern: new RegExp(`^(.*/)?postgres -D ${folder}/postgres -p \\d+ `),
      // Fast, then immediate; never SIGKILL, which leaves its children at work on the files.
      signals: ['SIGINT', 'SIGQUIT'],
    },
  ] satisfies { what: string; pattern: RegExp; signals: NodeJS.Signals[] }[];
}

async function end(pattern: RegExp, signals: NodeJS.Signals[]): Promise<boolean> {
  for (const signal of signals) {
    for (const { pid } of find(pattern)) {
      kill(pid, signal);
      // A frozen process would only see the signal when somebody thaws it.
      kill(pid, 'SIGCONT');
    }
    const deadline = performance.now() + 15_000;
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
