import type { Benchmark } from './harness/benchmark.ts';
import { measureOptions } from './harness/benchmark.ts';
import { measure } from './harness/measure.ts';
import { reportRuns } from './harness/report-runs.ts';
import { lineUp } from './lineup.ts';

/** The mesh beside what a user would take instead, in one run. */
export const contenders: Benchmark = {
  about: 'the mesh beside what a user would take instead',
  run: async (options, say) => {
    const all = lineUp(options);
    const { only } = options;
    const chosen = only.length === 0 ? all : all.filter(({ name }) => only.includes(name));
    const runs = await measure(chosen, measureOptions(options, say));
    return { report: reportRuns(chosen, runs), figures: runs };
  },
};
