import type { BenchOptions } from '../options.ts';
import type { MeasureOptions } from './measure.ts';

/** What `npm run bench -- <name>` runs. */
export interface Benchmark {
  about: string;
  run: (options: BenchOptions, say: (line: string) => void) => Promise<Outcome>;
}

export interface Outcome {
  /** For people. */
  report: string;
  /** For programs: everything that was measured. */
  figures: unknown;
}

export function measureOptions(options: BenchOptions, say: (line: string) => void): MeasureOptions {
  const { rounds, warmupSeconds, profileFolder, connections, seconds, keys } = options;
  return {
    rounds,
    warmupSeconds,
    profileFolder,
    load: { connections, seconds, keys, spread: 'uniform' },
    say,
  };
}
