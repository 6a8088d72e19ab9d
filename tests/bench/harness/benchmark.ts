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
  /** For README.md and docs/benchmarks.md, where everything that belongs there was measured. */
  docs?: string;
  /** Whether something has no figures because its sums were not exact. */
  isIncomplete?: boolean;
}

export function measureOptions(options: BenchOptions, say: (line: string) => void): MeasureOptions {
  const { rounds, warmupSeconds, profileFolder, seconds, keys, rate } = options;
  const [connections = 1] = options.connections;
  return {
    rounds,
    warmupSeconds,
    profileFolder,
    load: { connections, seconds, keys, spread: 'uniform', ...(rate && { rate }) },
    say,
  };
}

/** All of a list, or those that `--only` names. */
export function choose<Item>(
  items: Item[],
  { only }: BenchOptions,
  nameOf: (item: Item) => string,
): Item[] {
  return only.length === 0 ? items : items.filter((item) => only.includes(nameOf(item)));
}
