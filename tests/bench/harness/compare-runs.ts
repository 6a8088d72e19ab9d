import type { Measured, Run } from './measure.ts';
import { medianOf, spreadOf, type Spread } from './median.ts';

/** What the runs of a contender come to. */
export interface Comparison {
  contender: string;
  about: string;
  incrementsPerSecond: Spread;
  requestsPerSecond: Spread;
  p50Ms: Spread;
  p99Ms: Spread;
  /** Microseconds of CPU an increment, medians. The load generator shares the machine. */
  cpu: { http: number; servers: number; load: number };
  /** Beside the first contender, and beside Redis where it ran: by their names. */
  beside: Record<string, Beside>;
}

/** Times what another contender has. */
export interface Beside {
  /** The ratio of the medians of increments a second. */
  rate: number;
  /** The ratios of the same, round by round. */
  rateByRound: Spread;
  p99: number;
  httpCpu: number;
}

/** Which contender the others are compared with, beside the first. */
export const REDIS = 'redis-incrby';

/** Contenders without runs are left out. */
export function compareRuns({
  contenders,
  runs,
}: Pick<Measured, 'contenders' | 'runs'>): Comparison[] {
  const measured = contenders
    .map(({ name, about }) => ({ name, about, runs: runsOf(name, runs) }))
    .filter(({ runs: own }) => own.length > 0);
  const references = measured.filter(({ name }, index) => index === 0 || name === REDIS);
  return measured.map(({ name, about, runs: own }) => ({
    contender: name,
    about,
    incrementsPerSecond: spreadOf(own.map(rateOf)),
    requestsPerSecond: spreadOf(own.map(({ load }) => load.requestsPerSecond)),
    p50Ms: spreadOf(own.map(({ load }) => load.p50Ms)),
    p99Ms: spreadOf(own.map(p99Of)),
    cpu: {
      http: medianOf(own.map(httpCpuOf)),
      servers: medianOf(own.map((run) => cpuOf(run, ({ usage }) => sumCpu(usage)))),
      load: medianOf(own.map((run) => cpuOf(run, ({ load }) => load.cpuSeconds ?? Number.NaN))),
    },
    beside: Object.fromEntries(
      references.map((other) => [other.name, compareWith(own, other.runs)]),
    ),
  }));
}

export function runsOf(name: string, runs: Run[]): Run[] {
  return runs.filter(({ contender }) => contender === name);
}

function compareWith(own: Run[], others: Run[]): Beside {
  const ratio = (read: (run: Run) => number) =>
    medianOf(own.map(read)) / medianOf(others.map(read));
  const byRound = own.flatMap((run) => {
    const other = others.find(({ round }) => round === run.round);
    return other === undefined ? [] : [rateOf(run) / rateOf(other)];
  });
  return {
    rate: ratio(rateOf),
    rateByRound: spreadOf(byRound),
    p99: ratio(p99Of),
    httpCpu: ratio(httpCpuOf),
  };
}

function rateOf({ load }: Run): number {
  return load.incrementsPerSecond;
}

function p99Of({ load }: Run): number {
  return load.p99Ms;
}

function httpCpuOf(run: Run): number {
  return cpuOf(run, ({ usage }) => sumCpu(usage.filter(({ servesHttp }) => servesHttp)));
}

/** Microseconds an increment, as its sender counts them. */
function cpuOf(run: Run, readSeconds: (run: Run) => number): number {
  const { requests, requestsPerSecond, incrementsPerSecond } = run.load;
  return (readSeconds(run) / requests) * (requestsPerSecond / incrementsPerSecond) * 1e6;
}

function sumCpu(usage: Run['usage']): number {
  return usage.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);
}
