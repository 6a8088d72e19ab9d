import t from 'tap';
import { compareRuns, REDIS } from './compare-runs.ts';
import type { Contender } from './contender.ts';
import type { Run } from './measure.ts';
import { formatByRound, formatComparisons } from './report-runs.ts';

const ONE_SECOND = 1;

void t.test('medians are compared with the first contender and with Redis, also by round', (t) => {
  const runs = [
    run('nothing', 1, { rate: 100, p99Ms: 2, httpCpu: 0.001 }),
    run('nothing', 2, { rate: 200, p99Ms: 2, httpCpu: 0.002 }),
    run('nothing', 3, { rate: 120, p99Ms: 2, httpCpu: 0.0012 }),
    run(REDIS, 1, { rate: 80, p99Ms: 4, httpCpu: 0.0016 }),
    run(REDIS, 2, { rate: 100, p99Ms: 4, httpCpu: 0.002 }),
    run(REDIS, 3, { rate: 50, p99Ms: 4, httpCpu: 0.001 }),
    run('mesh', 1, { rate: 60, p99Ms: 6, httpCpu: 0.0018 }),
    run('mesh', 2, { rate: 60, p99Ms: 5, httpCpu: 0.0018 }),
    run('mesh', 3, { rate: 60, p99Ms: 6, httpCpu: 0.0018 }),
  ];
  const contenders = ['nothing', REDIS, 'absent', 'mesh'].map(named);
  const comparisons = compareRuns({ contenders, runs });
  t.strictSame(
    comparisons.map(({ contender }) => contender),
    ['nothing', REDIS, 'mesh'],
  );
  const [nothing, redis, mesh] = comparisons;
  t.equal(nothing?.beside['nothing']?.rate, 1);
  t.equal(redis?.beside['nothing']?.rate, 80 / 120);
  t.strictSame(mesh?.incrementsPerSecond, { median: 60, least: 60, most: 60 });
  t.equal(mesh?.beside['nothing']?.rate, 0.5, 'of the medians');
  t.strictSame(mesh?.beside['nothing']?.rateByRound, { median: 0.5, least: 0.3, most: 0.6 });
  t.strictSame(mesh?.beside[REDIS]?.rateByRound, { median: 0.75, least: 0.6, most: 1.2 });
  t.equal(mesh?.beside['nothing']?.p99, 3);
  t.equal(Math.round(mesh?.cpu.http ?? 0), 30, 'microseconds a request');
  t.equal(Math.round(mesh?.cpu.servers ?? 0), 60, 'the store, too');
  t.equal(mesh?.beside['nothing']?.httpCpu.toFixed(6), '3.000000');

  t.strictSame(linesOf(formatComparisons('64 connections', comparisons)), [
    '| 64 connections | requests/s | × | × Redis | p50 ms | p99 ms | CPU µs: HTTP process | all servers | load generator |',
    '| - | -: | -: | -: | -: | -: | -: | -: | -: |',
    '| about nothing | 120 (100–200) | 1.00 | 1.50 | 1 | 2 (1.00 ×) | 10 (1.00 ×) | 20 | 5 |',
    `| about ${REDIS} | 80 (50–100) | 0.67 | 1.00 | 1 | 4 (2.00 ×) | 20 (2.00 ×) | 40 | 5 |`,
    '| about mesh | 60 | 0.50 | 0.75 | 1 | 6 (3.00 ×) | 30 (3.00 ×) | 60 | 5 |',
  ]);
  t.equal(
    formatByRound(mesh!, { nothing: 'nothing', [REDIS]: 'Redis' }),
    '0.50 (0.30–0.60) × nothing, 0.75 (0.60–1.20) × Redis',
  );
  t.end();
});

void t.test(
  'batches count by their increments, and Redis has no column where it did not run',
  (t) => {
    const single = run('single', 1, { rate: 100, p99Ms: Number.NaN, httpCpu: 0.01 });
    const batches = run('batches', 1, { rate: 10, p99Ms: Number.NaN, httpCpu: 0.01 });
    batches.load.incrementsPerSecond = 5_000;
    const comparisons = compareRuns({
      contenders: ['single', 'batches'].map(named),
      runs: [single, batches],
    });
    t.strictSame(linesOf(formatComparisons('', comparisons)), [
      '| | increments/s | × | p50 ms | p99 ms | CPU µs: HTTP process | all servers | load generator |',
      '| - | -: | -: | -: | -: | -: | -: | -: |',
      '| about single | 100 | 1.00 | 1 | – | 100 (1.00 ×) | 200 | 5 |',
      '| about batches | 5 000 | 50 | 1 | – | 2 (0.02 ×) | 4 | 0.01 |',
    ]);
    t.end();
  },
);

/** Without what aligns a table in a terminal. */
function linesOf(table: string): string[] {
  return table.split('\n').map((line) => line.replaceAll(/ +/g, ' ').replaceAll(/-+/g, '-'));
}

function named(name: string): Contender {
  return { name, about: `about ${name}`, start: () => Promise.reject(new Error('not started')) };
}

/** A second of load; the store takes as much CPU as the HTTP process, the load 5 µs a request. */
function run(
  contender: string,
  round: number,
  { rate, p99Ms, httpCpu }: { rate: number; p99Ms: number; httpCpu: number },
): Run {
  const requests = rate * ONE_SECOND;
  const other = { peakMib: 1, residentMib: 1, writtenMib: 0, cpuSeconds: httpCpu };
  return {
    contender,
    round,
    load: {
      requests,
      increments: requests,
      requestsPerSecond: rate,
      incrementsPerSecond: rate,
      p50Ms: 1,
      p90Ms: 1,
      p99Ms,
      maxMs: p99Ms,
      cpuSeconds: rate * 5e-6,
    },
    usage: [
      { process: contender, servesHttp: true, ...other },
      { process: 'store', servesHttp: false, ...other },
    ],
    checked: { what: 'nothing' },
    settleSeconds: 0,
  };
}
