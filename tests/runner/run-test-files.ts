import { PORTS, PORTS_VARIABLE } from '../../mesh/servers/ports.ts';
import { runTestProcess, type TestProcess, type Totals } from './run-test-process.ts';
import { makeScratchFolder } from './scratch-folder.ts';
import { isUnitTest, shareProcesses } from './share-processes.ts';

export interface RunOptions {
  jobs: number;
  /** For each file. */
  timeoutS: number;
  /** How many files that fail beside others may be run once more, alone. */
  again?: number;
  /** Ends the run. */
  signal: AbortSignal;
}

export interface RunTotals extends Totals {
  /** The files that passed only alone. */
  unsteady: string[];
}

/** Runs the files in this order, and shows what came of each when it ends; of one alone, as it comes. */
export async function runTestFiles(files: string[], options: RunOptions): Promise<RunTotals> {
  const waiting = shareProcesses(files);
  const isLive = waiting.length === 1;
  const { jobs, again = 0, signal } = options;
  const totals = { passed: 0, failed: 0, skipped: 0, unsteady: [] as string[] };
  const failed: { process: TestProcess; totals: Totals }[] = [];
  const add = (one: Totals) => {
    totals.passed += one.passed;
    totals.failed += one.failed;
    totals.skipped += one.skipped;
  };
  const scratch = makeScratchFolder();
  const isShared = files.filter((file) => !isUnitTest(file)).length > 1;
  const stopPostgres = isShared ? await sharePostgres() : undefined;

  const work = async (_: unknown, slot: number) => {
    const ports = shareOfPorts(slot, jobs);
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (signal.aborted) {
        totals.failed++;
        return;
      }
      const found = await runTestProcess(next, { ...options, isLive, ports });
      if (found.failed > 0 && isRepeatable(next)) failed.push({ process: next, totals: found });
      else add(found);
    }
  };
  try {
    await Promise.all(Array.from({ length: jobs }, work));
    // More than a few are no matter of a noisy machine.
    const isRepeated = failed.length <= again && !signal.aborted;
    for (const { process, totals: first } of failed) {
      if (!isRepeated) {
        add(first);
        continue;
      }
      console.log(`\nonce more, alone: ${process.name}`);
      const second = await runTestProcess(process, {
        ...options,
        isLive,
        ports: shareOfPorts(0, 1),
      });
      add(second);
      if (second.failed === 0) totals.unsteady.push(process.name);
    }
  } finally {
    await stopPostgres?.();
    scratch.remove();
  }
  return totals;
}

/** Unit tests wait for nothing, so they fail alone too. */
function isRepeatable({ name, files }: TestProcess): boolean {
  return files === 1 && !isUnitTest(name);
}

/** No two processes at once are given the same ports. */
function shareOfPorts(slot: number, slots: number): string {
  const [from, to] = process.env[PORTS_VARIABLE]?.split('-').map(Number) ?? [PORTS.from, PORTS.to];
  const each = Math.floor((to! - from!) / slots);
  return `${from! + slot * each}-${from! + (slot + 1) * each}`;
}

/** Loaded only here, since the unit tests do without all of it. */
async function sharePostgres(): Promise<() => Promise<void>> {
  const { SHARED_POSTGRES_VARIABLE, startSharedPostgres } =
    await import('../support/shared-postgres.ts');
  const server = await startSharedPostgres();
  process.env[SHARED_POSTGRES_VARIABLE] = server.url;
  return () => server.stop();
}
