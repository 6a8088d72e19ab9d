import type { Outcome } from './benchmark.ts';
import type { Measured, Run } from './measure.ts';
import { medianOf, spreadOf } from './median.ts';
import { formatNumber, formatTable } from './table.ts';

/** What a benchmark of contenders hands on. */
export function outcomeOf(measured: Measured): Outcome {
  return {
    report: reportRuns(measured),
    figures: {
      medians: measured.contenders.map(({ name }) => mediansOf(name, measured.runs)),
      runs: measured.runs,
      failures: Object.fromEntries(measured.failures),
    },
    isIncomplete: measured.failures.size > 0,
  };
}

/** What was measured, as two tables: what clients see, and what it costs. The first is the measure. */
function reportRuns({ contenders, runs, failures }: Measured): string {
  const measured = contenders.flatMap(({ name, about }) => {
    const own = runs.filter(({ contender }) => contender === name);
    return own.length === 0 ? [] : [{ name, about, runs: own }];
  });
  const base = medianOf((measured[0]?.runs ?? []).map(requestsPerSecond));
  const clients = measured.map(({ name, runs }) => {
    const rate = spreadOf(runs.map(requestsPerSecond));
    return [
      name,
      formatNumber(rate.median),
      `${formatNumber(rate.least)}–${formatNumber(rate.most)}`,
      (rate.median / base).toFixed(2),
      formatNumber(medianOf(runs.map(({ load }) => load.p50Ms))),
      formatNumber(medianOf(runs.map(({ load }) => load.p99Ms))),
      formatStaleness(runs),
      runs[0]?.checked.what ?? '',
    ];
  });
  const costs = measured.flatMap(({ name, runs }) =>
    processesOf(runs).map((process) => [name, ...costOf(process, runs)]),
  );
  return [
    formatTable(
      ['', 'requests/s', 'spread', '×', 'p50 ms', 'p99 ms', 'stale s', 'sums checked'],
      clients,
    ),
    measured.map(({ name, about }) => `${name}: ${about}`).join('\n'),
    formatTable(
      ['', 'process', 'CPU s', 'CPU µs/request', 'peak MiB', 'written MiB', 'syncs'],
      costs,
    ),
    NOTES,
    ...[...failures].map(([name, why]) => `NO FIGURES for ${name}, its sums are not exact: ${why}`),
  ].join('\n\n');
}

function mediansOf(contender: string, all: Run[]) {
  const runs = all.filter((run) => run.contender === contender);
  return {
    contender,
    requestsPerSecond: spreadOf(runs.map(requestsPerSecond)),
    p50Ms: spreadOf(runs.map(({ load }) => load.p50Ms)),
    p99Ms: spreadOf(runs.map(({ load }) => load.p99Ms)),
  };
}

const NOTES = `Sums: the load generator goes quiet before it ends, so every request that it sent was answered, and
each key's sum in the store is compared with what was sent. Percentiles are wrk's, corrected for
coordinated omission. CPU is from the first request until everything is stored. Syncs of a
nats-server are the messages that it stored, each synced before its acknowledgement.`;

function requestsPerSecond({ load }: Run): number {
  return load.requestsPerSecond;
}

function formatStaleness(runs: Run[]): string {
  const bounds = runs.flatMap(({ checked }) => checked.stalenessSeconds ?? []);
  return bounds.length === 0 ? '' : `≤ ${Math.max(...bounds)}`;
}

function processesOf(runs: Run[]): string[] {
  return ['wrk', ...(runs[0]?.usage ?? []).map(({ process }) => process)];
}

function costOf(process: string, runs: Run[]): string[] {
  const usages = runs.map(({ usage }) => usage.find((each) => each.process === process));
  const cpu = runs.map(({ load }, index) =>
    process === 'wrk' ? load.cpuSeconds : usages[index]?.cpuSeconds,
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
