import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { writeFileAtomically } from '../files/write-file-atomically.ts';
import type { StopStep } from '../servers/detached-process.ts';
import { identifyProcess } from '../servers/processes.ts';
import { runAfterExit } from '../servers/run-after-exit.ts';
import { StartError } from '../servers/start-error.ts';
import { STOP_STEPS, TIERS, type Tier } from './stop-steps.ts';

/*
 * What a mesh that was killed leaves running must be gone before another one starts on its data
 * folder: two brokers on one store lose acknowledged data. So
 *
 *   1. each process is recorded in the data folder before its program runs (`beforeRun`);
 *   2. a mesh starts only once it holds the folder's lock and no recorded process lives;
 *   3. a process that outlives the mesh ends what it leaves (`endOrphansAfterExit`); a next start waits
 *      for that, and ends what is still left.
 */

interface ProcessRecord {
  tier: Tier;
  /** Of identifyProcess: a pid alone may be another process by now. */
  identity: string;
}

const NAMES: Record<Tier, string> = {
  gateways: 'gateways',
  proxy: 'the proxy',
  counters: 'counter services',
  nats: 'nats-server',
  postgres: 'PostgreSQL',
};

/** @throws where the disk is full: then the program must not run. */
export function recordProcess(
  dataFolder: string,
  name: string,
  { tier, pid }: { tier: Tier; pid: number },
): void {
  const identity = identifyProcess(pid);
  // It has ended already.
  if (identity === undefined) return;
  const record: ProcessRecord = { tier, identity };
  mkdirSync(recordsFolder(dataFolder), { recursive: true, mode: 0o700 });
  writeFileAtomically(join(recordsFolder(dataFolder), `${name}.json`), JSON.stringify(record));
}

/** Ends what this process has started, once it is gone; the returned function cancels that. */
export function endOrphansAfterExit(dataFolder: string): () => void {
  const program = fileURLToPath(new URL('./end-orphans.ts', import.meta.url));
  return runAfterExit(process.execPath, [program, dataFolder]);
}

/**
 * Ends every recorded process in the order of a stop: services first, so that they still reach their
 * servers. The caller holds the lock of the data folder.
 *
 * @throws StartError when one of them can't be ended.
 */
export async function endOrphans(dataFolder: string, say: (line: string) => void): Promise<void> {
  // Services need their servers to stop in order, so what is frozen is thawed first.
  for (const pid of TIERS.flatMap((tier) => findOrphans(dataFolder, tier))) kill(pid, 'SIGCONT');
  for (const tier of TIERS) {
    const find = () => findOrphans(dataFolder, tier);
    const found = find();
    if (found.length === 0) continue;
    say(`ending what an earlier mesh left running: ${NAMES[tier]} (pid ${found.join(', ')})`);
    if (await end(find, orphanStopSteps(tier))) continue;
    throw new StartError(
      `${NAMES[tier]} of an earlier mesh (pid ${find().join(', ')}) can't be ended: end it by hand.`,
    );
  }
  rmSync(recordsFolder(dataFolder), { recursive: true, force: true });
}

function findOrphans(dataFolder: string, wanted: Tier): number[] {
  return readRecords(recordsFolder(dataFolder))
    .filter(({ tier }) => tier === wanted)
    .map(({ identity }) => ({ identity, pid: Number.parseInt(identity, 10) }))
    .filter(({ identity, pid }) => identifyProcess(pid) === identity)
    .map(({ pid }) => pid);
}

function readRecords(folder: string): ProcessRecord[] {
  if (!existsSync(folder)) return [];
  return (
    readdirSync(folder)
      // A draft is that of a program which never ran.
      .filter((name) => name.endsWith('.json'))
      .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as ProcessRecord)
  );
}

function recordsFolder(dataFolder: string): string {
  return join(dataFolder, 'processes');
}

function orphanStopSteps(tier: Tier): StopStep[] {
  // SIGKILL would leave PostgreSQL's own children at work on its files.
  return STOP_STEPS[tier].filter(({ signal }) => tier !== 'postgres' || signal !== 'SIGKILL');
}

async function end(find: () => number[], steps: StopStep[]): Promise<boolean> {
  for (const { signal, waitMs } of steps) {
    for (const pid of find()) {
      kill(pid, signal);
      // A frozen process sees the signal only once it is thawed.
      kill(pid, 'SIGCONT');
    }
    const deadline = performance.now() + waitMs;
    while (performance.now() < deadline) {
      if (find().length === 0) return true;
      await delay(50);
    }
  }
  return false;
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // It has just ended.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
