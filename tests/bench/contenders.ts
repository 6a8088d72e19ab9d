import { clientContenders } from './client.ts';
import { choose, measureOptions, type Benchmark } from './harness/benchmark.ts';
import { compareRuns, REDIS, type Comparison } from './harness/compare-runs.ts';
import type { Contender } from './harness/contender.ts';
import { measure } from './harness/measure.ts';
import {
  figuresOf,
  formatByRound,
  formatComparisons,
  NOTES,
  reportCosts,
} from './harness/report-runs.ts';
import { ceiling, lineUp } from './lineup.ts';
import { WrongArguments } from './options.ts';

/** What stands in the line that compares round by round. */
const REFERENCES = { [ceiling.name]: 'the route that stores nothing', [REDIS]: 'Redis' };

/**
 * The mesh beside what a user would take instead, with each number of connections, then counting with
 * the client: all in one run.
 */
export const contenders: Benchmark = {
  about: 'the mesh beside what a user would take instead, and counting with the client',
  run: async (options, say) => {
    const nameOf = ({ name }: { name: string }) => name;
    const common = measureOptions(options, say);
    const groups = [
      ...options.connections.map((connections) => ({
        title: `${connections} connections`,
        contenders: choose(lineUp(options), options, nameOf),
        load: { ...common.load, connections },
      })),
      {
        title: `one program with the client, ${common.load.connections} requests at once`,
        contenders: choose(clientContenders(options), options, nameOf),
        load: common.load,
      },
    ].filter(({ contenders }) => contenders.length > 0);
    if (options.writeDocs) await checkAllPresent(groups.flatMap(({ contenders }) => contenders));

    const results = [];
    for (const { title, contenders, load } of groups) {
      say(title);
      const measured = await measure(contenders, { ...common, load });
      const comparisons = compareRuns(measured);
      results.push({ title, measured, comparisons });
    }
    const isIncomplete = results.some(({ measured }) => measured.failures.size > 0);
    const tables = results.map(formatResult).join('\n\n');
    const costs = results.map(
      ({ title, measured, comparisons }) => `${title}:\n\n${reportCosts(measured, comparisons)}`,
    );
    return {
      report: [tables, ...costs, NOTES].join('\n\n'),
      figures: results.map(({ title, measured, comparisons }) => ({
        title,
        ...figuresOf(measured, comparisons),
      })),
      docs: tables,
      isIncomplete,
    };
  },
};

function formatResult({ title, comparisons }: { title: string; comparisons: Comparison[] }) {
  const mesh = comparisons.find(({ contender }) => contender === 'mesh');
  const table = formatComparisons(title, comparisons);
  if (mesh === undefined) return table;
  return `${table}\n\nincrement-mesh round by round: ${formatByRound(mesh, REFERENCES)}.`;
}

/** @throws WrongArguments */
async function checkAllPresent(contenders: Contender[]): Promise<void> {
  for (const { name, missing } of contenders) {
    const reason = await missing?.();
    if (reason !== undefined) throw new WrongArguments(`--write-docs needs ${name}: ${reason}`);
  }
}
