import { readFileSync } from 'node:fs';
import type { StreamFigures } from '../stream-limit.ts';
import type { TableSizeRun } from '../table-size.ts';
import { medianOf } from '../harness/median.ts';
import { fitPrices } from './fit.ts';
import { FLUSH_INTERVAL_S, type Prices } from './model.ts';
import { PREDICTED, type Point } from './point.ts';

/** As `--json` of the benchmarks wrote them. */
export const points = read('scaling.json') as Point[];
export const stream = read('stream-limit.json') as StreamFigures;
export const tableSizes = read('table-size.json') as TableSizeRun[];

/** What Fastify takes for a request that stores nothing on the machine of most figures in docs/benchmarks.md. */
const BENCHMARK_YARDSTICK_US = 14.5;
/** How much slower the machine was while a point was measured: CPU is divided by it. */
export function slownessAt({ yardstickUs }: Point): number {
  return yardstickUs / BENCHMARK_YARDSTICK_US;
}

/** While the others were measured. */
export const slowness = medianOf(points.map(slownessAt));

/** The point that was predicted, and those from which it was. */
export const predicted = points.find(({ keys }) => keys === PREDICTED.keys);
export const fitted = points.filter((point) => point !== predicted);

/** At the speed of docs/benchmarks.md. */
export const prices = fitAll();

function fitAll(): Prices {
  const one = fitted.filter(({ brokers }) => brokers === 1);
  const three = fitted.filter(({ brokers }) => brokers === 3);
  const row = rowOf(1_000_000);
  const fit = (of: Point[], part: keyof Point['cpuSeconds'], units: (point: Point) => number[]) =>
    fitPrices(
      of.map((point) => ({
        units: units(point),
        cost: point.cpuSeconds[part] / slownessAt(point),
      })),
    ).map((seconds) => seconds * 1e6);
  const both = ({ messages, requests }: Point) => [messages, requests];
  const broker = (of: Point[]) => {
    const [message = NaN, increment = NaN] = fit(of, 'broker', both);
    return { message, increment };
  };
  // With more processes than the cores can run at once, a gateway's time is that of changing between them.
  const alone = one.filter(({ gateways }) => gateways <= 2);
  const [gatewayMessage = NaN, request = NaN] = fit(alone, 'gateway', both);
  const [counterMessage = NaN, increment = NaN, idle = NaN] = fit(fitted, 'counter', (point) => [
    ...both(point),
    point.counters * lastedSeconds(point),
  ]);
  const [routeMessage = NaN, routeIncrement = NaN] = fitPrices(
    three.map((point) => ({ units: both(point), cost: point.routeBytes })),
  );
  return {
    gateway: { request, message: gatewayMessage },
    oneBroker: broker(one),
    threeBrokers: broker(three),
    counter: { message: counterMessage, increment, idle },
    routes: { message: routeMessage, increment: routeIncrement },
    row: {
      // What computes and does not talk was as fast as ever.
      postgres: (row.cpuSeconds.postgres / row.rows) * 1e6,
      counter: (row.cpuSeconds.counter / row.rows) * 1e6,
      wal: row.walBytes / row.rows,
    },
  };
}

/** The load, and until the flush that follows it. */
function lastedSeconds({ seconds }: Point): number {
  return seconds + FLUSH_INTERVAL_S;
}

/** Flushes of 10 000 rows, which are the usual statement, some time after a checkpoint. */
function rowOf(tableRows: number): TableSizeRun {
  const run = tableSizes.find(
    (each) =>
      each.tableRows === tableRows &&
      !each.isAfterCheckpoint &&
      Math.round(each.rows / each.flushes / 10_000) === 1,
  );
  if (run === undefined) throw new Error(`table-size.json has no flush of 10 000 in ${tableRows}`);
  return run;
}

function read(file: string): unknown {
  const text = readFileSync(new URL(file, import.meta.url), 'utf8');
  return (JSON.parse(text) as { figures: unknown }).figures;
}
