import { choose, measureOptions, type Benchmark } from './harness/benchmark.ts';
import { measure } from './harness/measure.ts';
import { meshContender } from './harness/mesh.ts';
import { outcomeOf } from './harness/report-runs.ts';

const SIZES = [100, 1_000, 10_000];
/** A batch is a message; more connections would only queue. */
const CONNECTIONS = 8;
const KEYS = 10_000;

/**
 * Batches of increments by `POST /increments`. With `--rate` it shows whether the counters keep up:
 * then everything is stored one flush after the load, and nothing was stale for more than 10 s.
 */
export const bulk: Benchmark = {
  about: 'bulk ingestion by POST /increments',
  run: async (options, say) => {
    const { gateways, counters } = options;
    const meshes = choose(SIZES, options, String).map((batch) =>
      meshContender(String(batch), `batches of ${batch} increments over ${KEYS} keys`, {
        gateways,
        counters,
        load: { batch, connections: CONNECTIONS, keys: KEYS },
      }),
    );
    return outcomeOf(await measure(meshes, measureOptions(options, say)));
  },
};
