import { measureOptions, type Benchmark } from './harness/benchmark.ts';
import { runsOf } from './harness/compare-runs.ts';
import { measureDisk } from './harness/disk.ts';
import { measure } from './harness/measure.ts';
import { medianOf } from './harness/median.ts';
import { meshContender } from './harness/mesh.ts';
import { outcomeOf } from './harness/report-runs.ts';
import { withScope } from './harness/scope.ts';
import { makeFolder } from './harness/servers.ts';
import { ceiling } from './lineup.ts';

const SYNCS = 1_000;

/** What a lone request waits for: the route, the way to the broker and back, and one fsync. */
export const oneAtATime: Benchmark = {
  about: 'one request at a time, against a route that stores nothing and a bare fdatasync',
  run: async (options, say) => {
    const { gateways, counters } = options;
    const mesh = meshContender('mesh', 'this mesh, otherwise idle', { gateways, counters });
    const contenders = [ceiling, mesh];
    const common = measureOptions(options, say);
    const measured = await measure(contenders, {
      ...common,
      load: { ...common.load, connections: 1 },
    });
    const fdatasyncMs = await withScope(async (scope) =>
      medianOf(await measureDisk(makeFolder(scope), SYNCS)),
    );
    const p50 = (name: string) =>
      medianOf(runsOf(name, measured.runs).map(({ load }) => load.p50Ms));
    const bound = p50(ceiling.name) + 2 * fdatasyncMs;
    const verdict =
      `fdatasync p50 ${fdatasyncMs.toFixed(3)} ms. The mesh's p50 is ${p50(mesh.name).toFixed(3)} ms; ` +
      `nothing stored and two fdatasyncs take ${bound.toFixed(3)} ms.`;
    const outcome = outcomeOf(measured);
    return {
      ...outcome,
      report: `${outcome.report}\n\n${verdict}`,
      figures: { measured: outcome.figures, fdatasyncMs },
    };
  },
};
