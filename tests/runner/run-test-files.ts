import { PORTS, PORTS_VARIABLE } from '../../mesh/servers/ports.ts';
import { runTestProcess, type Totals } from './run-test-process.ts';
import { makeScratchFolder } from './scratch-folder.ts';
import { isUnitTest, shareProcesses } from './share-processes.ts';

export interface RunOptions {
  jobs: number;
  /** For each file. */
  timeoutS: number;
  /** Ends the run. */
  signal: AbortSignal;
}

/** Runs the files in this order, and shows what came of each when it ends; of one alone, as it comes. */
export async function runTestFiles(files: string[], options: RunOptions): Promise<Totals> {
  const waiting = shareProcesses(files);
  const isLive = waiting.length === 1;
  const totals = { passed: 0, failed: 0, skipped: 0 };
  const scratch = makeScratchFolder();
  const isShared = files.filter((file) => !isUnitTest(file)).length > 1;
  const stopPostgres = isShared ? await sharePostgres() : undefined;

  const work = async (_: unknown, slot: number) => {
    const ports = shareOfPorts(slot, options.jobs);
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (options.signal.aborted) {
        totals.failed++;
        return;
      }
      const { passed, failed, skipped } = await runTestProcess(next, { ...options, isLive, ports });
      totals.passed += passed;
      totals.failed += failed;
      totals.skipped += skipped;
    }
  };
  try {
    await Promise.all(Array.from({ length: options.jobs }, work));
  } finally {
    await stopPostgres?.();
    scratch.remove();
  }
  return totals;
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
