import type { Outcome } from './benchmark.ts';
import { compareRuns, REDIS, runsOf, type Comparison } from './compare-runs.ts';
import type { Measured, Run } from './measure.ts';
import { medianOf, type Spread } from './median.ts';
import { formatNumber, formatTable } from './table.ts';

/** What a benchmark of contenders hands on. */
export function outcomeOf(measured: Measured): Outcome {
  const comparisons = compareRuns(measured);
  return {
    report: [formatComparisons('', comparisons), reportCosts(measured, comparisons), NOTES].join(
      '\n\n',
    ),
    figures: figuresOf(measured, comparisons),
    isIncomplete: measured.failures.size > 0,
  };
}

export function figuresOf({ runs, failures }: Measured, medians: Comparison[]): object {
  return { medians, runs, failures: Object.fromEntries(failures) };
}

/** What clients see and what it costs, as a table in Markdown. `title` is over its first column. */
export function formatComparisons(title: string, comparisons: Comparison[]): string {
  const first = comparisons[0]?.contender ?? '';
  const isRedisThere = comparisons.some(({ contender }) => contender === REDIS);
  const isOneEach = comparisons.every(
    ({ incrementsPerSecond, requestsPerSecond }) =>
      incrementsPerSecond.median === requestsPerSecond.median,
  );
  const head = [
    title,
    isOneEach ? 'requests/s' : 'increments/s',
    '×',
    ...(isRedisThere ? ['× Redis'] : []),
    'p50 ms',
    'p99 ms',
    'CPU µs: HTTP process',
    'all servers',
    'load generator',
  ];
  const rows = comparisons.map(({ about, incrementsPerSecond, p50Ms, p99Ms, cpu, beside }) => [
    about,
    formatSpread(incrementsPerSecond, formatNumber),
    formatRatio(beside[first]?.rate),
    ...(isRedisThere ? [formatRatio(beside[REDIS]?.rate)] : []),
    formatNumber(p50Ms.median),
    withRatio(p99Ms.median, beside[first]?.p99),
    withRatio(cpu.http, beside[first]?.httpCpu),
    formatNumber(cpu.servers),
    formatNumber(cpu.load),
  ]);
  return formatTable(head, rows);
}

/** A contender's rate as a multiple of others' in the same round. `names` are those to show. */
export function formatByRound({ beside }: Comparison, names: Record<string, string>): string {
  const ratios = Object.entries(names).flatMap(([contender, name]) => {
    const ratio = beside[contender]?.rateByRound;
    return ratio === undefined ? [] : [`${formatSpread(ratio, formatRatio)} × ${name}`];
  });
  return ratios.join(', ');
}

/** What each process used, and what was compared. */
export function reportCosts({ runs, failures }: Measured, comparisons: Comparison[]): string {
  const rows = comparisons.flatMap(({ contender }) => {
    const own = runsOf(contender, runs);
    return processesOf(own).map((process) => [contender, ...costOf(process, own)]);
  });
  const checked = comparisons.map(
    ({ contender, about }) => `${contender}: ${about}; ${describeCheck(runsOf(contender, runs))}`,
  );
  const head = ['', 'process', 'CPU s', 'CPU µs/request', 'peak MiB', 'written MiB', 'syncs'];
  return [
    formatTable(head, rows),
    checked.join('\n'),
    ...[...failures].map(([name, why]) => `NO FIGURES for ${name}, its sums are not exact: ${why}`),
  ].join('\n\n');
}

export const NOTES = `× compares medians with the first line's. Sums: the load generator goes quiet before it ends, so
every request that it sent was answered, and each key's sum in the store is compared with what was
sent. Percentiles are wrk's, corrected for coordinated omission. CPU is from the first request until
everything is stored. Syncs of a nats-server are the messages that it stored, each synced before its
acknowledgement.`;

function describeCheck(runs: Run[]): string {
  const bounds = runs.flatMap(({ checked }) => checked.stalenessSeconds ?? []);
  const staleness = bounds.length === 0 ? '' : `, no flush staler than ${Math.max(...bounds)} s`;
  const settled = formatNumber(medianOf(runs.map(({ settleSeconds }) => settleSeconds)));
  return `compared ${settled} s after the load: ${runs[0]?.checked.what}${staleness}`;
}

function processesOf(runs: Run[]): string[] {
  return [LOAD, ...(runs[0]?.usage ?? []).map(({ process }) => process)];
}

const LOAD = 'load generator';

function costOf(process: string, runs: Run[]): string[] {
  const usages = runs.map(({ usage }) => usage.find((each) => each.process === process));
  const cpu = runs.map(({ load }, index) =>
    process === LOAD ? load.cpuSeconds : usages[index]?.cpuSeconds,
  );
  const perRequest = runs.map(({ load }, index) => ((cpu[index] ?? NaN) / load.requests) * 1e6);
  const syncs = usages.flatMap((usage) => usage?.syncs ?? []);
  return [
    process,
    formatNumber(medianOf(cpu.map((value) => value ?? NaN))),
    formatNumber(medianOf(perRequest)),
    formatNumber(medianOf(usages.map((usage) => usage?.peakMib ?? NaN))),
    formatNumber(medianOf(usages.map((usage) => usage?.writtenMib ?? NaN))),
    syncs.length === 0 ? '' : formatNumber(medianOf(syncs)),
  ];
}

/** `0.58 (0.55–0.61)`: the median, the least and the most. */
function formatSpread({ median, least, most }: Spread, format: (value: number) => string): string {
  const isOne = format(least) === format(most);
  return isOne ? format(median) : `${format(median)} (${format(least)}–${format(most)})`;
}

function formatRatio(ratio = Number.NaN): string {
  return ratio < 10 ? ratio.toFixed(2) : formatNumber(ratio);
}

function withRatio(value: number, ratio = Number.NaN): string {
  return Number.isNaN(ratio)
    ? formatNumber(value)
    : `${formatNumber(value)} (${formatRatio(ratio)} ×)`;
}
