import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import { readMetrics } from '../support/metrics.ts';
import { measureOptions, type Benchmark } from './harness/benchmark.ts';
import { readLedger, readStalenessBound } from './harness/check-mesh.ts';
import { runLoad, type Sent } from './harness/load.ts';
import { startMesh, type RunningMesh } from './harness/mesh.ts';
import { readUsage } from './harness/process-usage.ts';
import { withScope } from './harness/scope.ts';
import { makeFolder } from './harness/servers.ts';
import { formatNumber, formatTable } from './harness/table.ts';

/** Of what the mesh takes when it is asked for as much as it can. */
const SHARE_OF_CAPACITY = 0.8;
const SAMPLES = 20;

interface Sample {
  minute: number;
  /** The oldest increment that a counter holds now, and the worst flush so far. */
  oldestSeconds: number;
  stalenessSeconds: number;
  residentMib: Record<string, number>;
  ledgerRows: number;
  ledgerMib: number;
}

/** Long enough for what grows to show. */
export const soak: Benchmark = {
  about: `the mesh at ${SHARE_OF_CAPACITY * 100} % of its capacity`,
  run: (options, say) =>
    withScope(async (scope) => {
      const { gateways, counters, minutes, profileFolder } = options;
      const folder = makeFolder(scope);
      const start = { folder, profileFolder };
      const mesh = await startMesh(scope, start, { gateways, counters });
      const { load: shape, warmupSeconds } = measureOptions(options, say);
      const { url } = mesh;
      const sent: Sent[] = [await runLoad(url, { ...shape, seconds: warmupSeconds })];
      const capacity = await runLoad(url, shape);
      sent.push(capacity);
      const rate = Math.round(capacity.requestsPerSecond * SHARE_OF_CAPACITY);
      say(`capacity ${formatNumber(capacity.requestsPerSecond)} requests/s; soak at ${rate}`);

      const soaking = runLoad(url, { ...shape, seconds: minutes * 60, rate });
      const samples = await sampleUntilEnd(mesh, soaking, (minutes * 60_000) / SAMPLES);
      const { sums, ...load } = await soaking;
      sent.push({ ...load, sums });
      const checked = await mesh.check(sent);
      const summary =
        `${formatNumber(load.requestsPerSecond)} requests/s for ${minutes} min, ` +
        `p50 ${formatNumber(load.p50Ms)} ms, p99 ${formatNumber(load.p99Ms)} ms; ` +
        `no flush staler than ${checked.stalenessSeconds} s; sums checked: ${checked.what}`;
      return {
        report: `${report(samples)}\n\n${summary}`,
        figures: { capacity: capacity.requestsPerSecond, rate, load, checked, samples },
      };
    }),
};

async function sampleUntilEnd(
  mesh: RunningMesh,
  soaking: Promise<unknown>,
  everyMs: number,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  const state = { isOver: false };
  const over = () => void (state.isOver = true);
  void soaking.then(over, over);
  const startedAt = performance.now();
  while (!state.isOver) {
    await Promise.race([soaking, delay(everyMs)]);
    if (!state.isOver)
      samples.push(await takeSample(mesh, (performance.now() - startedAt) / 60_000));
  }
  return samples;
}

async function takeSample(mesh: RunningMesh, minute: number): Promise<Sample> {
  const { processes, metrics, postgres } = mesh;
  const seen = (await Promise.all(metrics.counters.map(readMetrics))).flat();
  const ages = seen.filter(({ name }) => name === 'counter_oldest_age_seconds');
  const { rows } = await sql<{ bytes: string }>`
    select pg_total_relation_size('ledger') as bytes`.execute(postgres.database);
  return {
    minute,
    oldestSeconds: Math.max(0, ...ages.map(({ value }) => value)),
    stalenessSeconds: await readStalenessBound(metrics.counters),
    residentMib: Object.fromEntries(
      processes.map(({ name, pid, isFamily }) => [
        name,
        readUsage(pid, isFamily)?.residentMib ?? NaN,
      ]),
    ),
    ledgerRows: (await readLedger(postgres.database)).messages,
    ledgerMib: Number(rows[0]?.bytes) / 1024 / 1024,
  };
}

function report(samples: Sample[]): string {
  const processes = Object.keys(samples[0]?.residentMib ?? {});
  return formatTable(
    [
      'minute',
      'oldest s',
      'stale s',
      ...processes.map((name) => `${name} MiB`),
      'ledger rows',
      'ledger MiB',
    ],
    samples.map((sample) => [
      sample.minute.toFixed(2),
      sample.oldestSeconds.toFixed(1),
      `≤ ${sample.stalenessSeconds}`,
      ...processes.map((name) => formatNumber(sample.residentMib[name])),
      formatNumber(sample.ledgerRows),
      formatNumber(sample.ledgerMib),
    ]),
  );
}
