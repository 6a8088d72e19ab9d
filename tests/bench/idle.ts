import { setTimeout as delay } from 'node:timers/promises';
import type { Benchmark } from './harness/benchmark.ts';
import { startMesh } from './harness/mesh.ts';
import { readUsage } from './harness/process-usage.ts';
import { withScope } from './harness/scope.ts';
import { makeFolder } from './harness/servers.ts';
import { formatTable } from './harness/table.ts';

/** Node compiles and collects for a while after its start. */
const SETTLE_MS = 10_000;
/** As `npm start` has them. */
const GATEWAYS = 2;
const COUNTERS = 2;

/** What a mesh costs that nobody uses. */
export const idle: Benchmark = {
  about: 'processor time of an idle mesh, in percent of one core',
  run: ({ seconds, profileFolder }, say) =>
    withScope(async (scope) => {
      const folder = makeFolder(scope);
      const options = { gateways: GATEWAYS, counters: COUNTERS };
      const { processes } = await startMesh(scope, { folder, profileFolder }, options);
      say(`settling for ${SETTLE_MS / 1000} s, then idle for ${seconds} s`);
      await delay(SETTLE_MS);
      const readAll = () =>
        processes.map(({ pid, isFamily }) => readUsage(pid, isFamily)?.cpuSeconds ?? NaN);
      const before = readAll();
      await delay(seconds * 1000);
      const after = readAll();
      const figures = processes.map(({ name }, index) => ({
        process: name,
        percent: (((after[index] ?? NaN) - (before[index] ?? NaN)) / seconds) * 100,
      }));
      const all = figures.reduce((sum, { percent }) => sum + percent, 0);
      const rows = [...figures, { process: 'all together', percent: all }];
      return {
        report: formatTable(
          ['process', '% of a core'],
          rows.map(({ process, percent }) => [process, percent.toFixed(2)]),
        ),
        figures,
      };
    }),
};
