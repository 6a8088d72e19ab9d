import { performance } from 'node:perf_hooks';
import {
  WrongSums,
  type Checked,
  type Contender,
  type DiskUse,
  type Running,
} from './contender.ts';
import { LoadFailed, runLoad, type LoadShape, type Sent } from './load.ts';
import { readUsage, type Usage } from './process-usage.ts';
import { orderOfRound } from './order-of-round.ts';
import { withScope } from './scope.ts';
import { makeFolder } from './servers.ts';

export interface MeasureOptions {
  rounds: number;
  warmupSeconds: number;
  load: LoadShape;
  profileFolder: string | undefined;
  say: (line: string) => void;
}

/** One run of one contender. */
export interface Run {
  contender: string;
  round: number;
  load: Omit<Sent, 'sums'>;
  usage: ProcessUsage[];
  checked: Checked;
  /** From the last request until everything was stored and compared. */
  settleSeconds: number;
}

/** From the first request until everything is stored, the warm-up excepted. */
export interface ProcessUsage extends Usage {
  process: string;
  servesHttp: boolean;
  /** How often it made sure of the disk, where that is known. */
  syncs?: number;
}

export interface Measured {
  /** In the order in which they were given, without those that can't run here. */
  contenders: Contender[];
  runs: Run[];
  /** Contenders whose sums were not exact in some run, and why: they have no figures. */
  failures: Map<string, string>;
}

/** Runs contenders in turn, round by round, so that a machine that changes changes for all. One
 * that has failed is not run again. */
export async function measure(contenders: Contender[], options: MeasureOptions): Promise<Measured> {
  const present: Contender[] = [];
  for (const contender of contenders) {
    const reason = await contender.missing?.();
    if (reason === undefined) present.push(contender);
    else options.say(`${contender.name} is left out: ${reason}`);
  }
  const runs: Run[] = [];
  const failures = new Map<string, string>();
  for (let round = 1; round <= options.rounds; round++) {
    for (const contender of orderOfRound(present, round)) {
      if (failures.has(contender.name)) continue;
      try {
        const run = await runOnce(contender, round, options);
        const rate = Math.round(run.load.requestsPerSecond);
        options.say(`round ${round}  ${contender.name}: ${rate} requests/s, ${run.checked.what}`);
        runs.push(run);
      } catch (error) {
        if (!(error instanceof WrongSums || error instanceof LoadFailed)) throw error;
        options.say(`round ${round}  ${contender.name}: ${error.message}`);
        failures.set(contender.name, error.message);
      }
    }
  }
  const exact = runs.filter(({ contender }) => !failures.has(contender));
  return { contenders: present, runs: exact, failures };
}

/** With servers of its own and empty stores, so that no contender finds what another left. */
function runOnce(contender: Contender, round: number, options: MeasureOptions): Promise<Run> {
  const { warmupSeconds, profileFolder } = options;
  return withScope(async (scope) => {
    const folder = makeFolder(scope);
    const running = await contender.start(scope, { folder, profileFolder });
    const shape = { ...options.load, ...contender.load };
    const send = (seconds: number) =>
      (contender.send ?? runLoad)(running.url, { ...shape, seconds });
    const sent: Sent[] = warmupSeconds > 0 ? [await send(warmupSeconds)] : [];

    const before = await readAll(running);
    const startedAt = performance.now();
    const { sums, ...load } = await send(shape.seconds);
    const checked = await running.check([...sent, { ...load, sums }]);
    const settleSeconds = (performance.now() - startedAt) / 1000 - shape.seconds;
    const after = await readAll(running);
    const usage = subtract(after, before);
    return { contender: contender.name, round, load, usage, checked, settleSeconds };
  });
}

interface Reading {
  processes: { process: string; servesHttp: boolean; usage: Usage | undefined }[];
  disks: Record<string, DiskUse>;
}

async function readAll({ processes, readDisk }: Running): Promise<Reading> {
  return {
    processes: processes.map(({ name, pid, isFamily, servesHttp = false }) => ({
      process: name,
      servesHttp,
      usage: readUsage(pid, isFamily),
    })),
    disks: (await readDisk?.()) ?? {},
  };
}

function subtract(after: Reading, before: Reading): ProcessUsage[] {
  return after.processes.flatMap(({ process, servesHttp, usage }, index) => {
    const earlier = before.processes[index]?.usage;
    if (usage === undefined || earlier === undefined) return [];
    const disk = after.disks[process];
    const earlierDisk = before.disks[process];
    const writtenMib =
      disk?.writtenMib === undefined
        ? usage.writtenMib - earlier.writtenMib
        : disk.writtenMib - (earlierDisk?.writtenMib ?? 0);
    return [
      {
        ...usage,
        process,
        servesHttp,
        cpuSeconds: usage.cpuSeconds - earlier.cpuSeconds,
        writtenMib,
        ...(disk && { syncs: disk.syncs - (earlierDisk?.syncs ?? 0) }),
      },
    ];
  });
}
