import { choose, measureOptions, type Benchmark } from './harness/benchmark.ts';
import { measure } from './harness/measure.ts';
import { outcomeOf } from './harness/report-runs.ts';
import { lineUp } from './lineup.ts';

/** The mesh beside what a user would take instead, in one run. */
export const contenders: Benchmark = {
  about: 'the mesh beside what a user would take instead',
  run: async (options, say) => {
    const chosen = choose(lineUp(options), options, ({ name }) => name);
    return outcomeOf(await measure(chosen, measureOptions(options, say)));
  },
};
