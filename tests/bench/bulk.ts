import { choose, measureOptions, type Benchmark } from './harness/benchmark.ts';
import { measure, type Run } from './harness/measure.ts';
import { medianOf } from './harness/median.ts';
import { meshContender, startMesh } from './harness/mesh.ts';
import { outcomeOf } from './harness/report-runs.ts';
import { withScope } from './harness/scope.ts';
import { makeFolder } from './harness/servers.ts';
import { formatNumber, formatTable } from './harness/table.ts';
import type { BenchOptions } from './options.ts';

const SIZES = [100, 1_000, 10_000];
const NOT_FOUND = 404;
/** A batch is a message; more connections would only queue. */
const CONNECTIONS = 8;
const KEYS = 10_000;

/**
 * Batches of increments by `POST /increments`. With `--rate` it shows whether the counters keep up:
 * then everything is committed one flush after the load, and nothing was stale for more than 10 s.
 */
export const bulk: Benchmark = {
  about: 'bulk ingestion by POST /increments',
  run: async (options, say) => {
    if (!(await hasRoute(options))) {
      return { report: 'The gateway has no route POST /increments yet.', figures: [] };
    }
    const { gateways, counters } = options;
    const meshes = choose(SIZES, options, String).map((batch) =>
      meshContender(String(batch), `batches of ${batch} increments over ${KEYS} keys`, {
        gateways,
        counters,
        load: { batch, connections: CONNECTIONS, keys: KEYS },
      }),
    );
    const measured = await measure(meshes, measureOptions(options, say));
    const outcome = outcomeOf(measured);
    const names = meshes.map(({ name }) => name);
    return { ...outcome, report: `${report(names, measured.runs)}\n\n${outcome.report}` };
  },
};

function hasRoute({ gateways, counters }: BenchOptions): Promise<boolean> {
  return withScope(async (scope) => {
    const start = { folder: makeFolder(scope), profileFolder: undefined };
    const { url } = await startMesh(scope, start, { gateways, counters });
    const headers = { 'content-type': 'application/json' };
    const { status } = await fetch(`${url}/increments`, { method: 'POST', body: '[]', headers });
    return status !== NOT_FOUND;
  });
}

function report(names: string[], runs: Run[]): string {
  const rows = names.map((name) => {
    const own = runs.filter(({ contender }) => contender === name);
    const accepted = own.map(
      ({ load }) => (load.increments / load.requests) * load.requestsPerSecond,
    );
    return [
      `batches of ${name}`,
      formatNumber(medianOf(accepted)),
      formatNumber(medianOf(own.map(({ settleSeconds }) => settleSeconds))),
    ];
  });
  return formatTable(['', 'increments/s accepted', 'committed s after the load'], rows);
}
