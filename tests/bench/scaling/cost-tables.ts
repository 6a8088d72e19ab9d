import { formatNumber, formatTable } from '../harness/table.ts';
import { nameOf, pair } from './cells.ts';
import { fitted, prices, slowness, slownessAt, stream, tableSizes } from './measured.ts';
import { costsOf, FLUSH_INTERVAL_S } from './model.ts';
import type { Point } from './point.ts';

export function sentenceOfSlowness(): string {
  const factor = formatNumber(slowness);
  return `The machine was ${factor} times slower then than [that of other figures](benchmarks.md#other-figures), by what a request costs Fastify
that stores nothing: sockets and wake-ups were slow. CPU is divided by that, except that of rows, which was as in other
runs; syncs, bytes and messages/s are as they were.`;
}

export function tableOfPrices(): string {
  const { gateway, oneBroker, threeBrokers, counter, row, routes } = prices;
  const cells = ([name, ...numbers]: [string, ...(number | undefined)[]]) => [
    name,
    ...numbers.map((number) => (number === undefined ? '' : formatNumber(number))),
  ];
  return formatTable(
    ['CPU µs, or bytes', 'a request or increment', 'a message', 'a row'],
    [
      cells(['gateway', gateway.request, gateway.message, undefined]),
      cells(['one broker', oneBroker.increment, oneBroker.message, undefined]),
      cells(['three brokers together', threeBrokers.increment, threeBrokers.message, undefined]),
      cells(['counter service', counter.increment, counter.message, row.counter]),
      cells(['PostgreSQL', undefined, row.postgres, row.postgres]),
      cells(['WAL, bytes', undefined, row.wal, row.wal]),
      cells(['between three brokers, bytes', routes.increment, routes.message, undefined]),
    ],
  );
}

export function tableOfPoints(): string {
  const rows = fitted.map((point) => {
    const { requests, messages, counters, seconds, keys, brokers } = point;
    const pack = requests / messages;
    const model = costsOf(
      {
        incrementsPerSecond: requests / seconds,
        batch: 1,
        pack,
        counters,
        brokers,
        keys,
      },
      prices,
    );
    const measured = (kind: keyof Point['cpuSeconds']) =>
      (point.cpuSeconds[kind] / requests / slownessAt(point)) * 1e6;
    const modelled = (cores: number) => (cores / (requests / seconds)) * 1e6;
    const routes = (model.routeBytesPerSecond * seconds) / requests;
    return [
      nameOf(point),
      formatNumber(pack),
      pair(measured('gateway'), modelled(model.cores.gateways)),
      pair(measured('broker'), modelled(model.cores.brokers)),
      pair(
        measured('counter'),
        modelled(model.cores.counters) + idleAfterwards(counters, requests),
      ),
      brokers === 1 ? '' : pair(point.routeBytes / requests, routes),
      `${formatNumber(point.peakMib.gateway)}, ${formatNumber(point.peakMib.counter)}`,
    ];
  });
  return formatTable(
    [
      'µs a request: measured / model',
      'pack',
      'gateways',
      'brokers',
      'counter services',
      'bytes between brokers',
      'MiB: gateway, counter service',
    ],
    rows,
  );
}

export function tableOfStream(): string {
  return formatTable(
    ['', 'messages/s', 'increments/s', 'CPU µs a message, all brokers', 'bytes between brokers'],
    stream.runs.map((run) => [
      `${run.brokers === 1 ? 'one broker' : 'three brokers'}, ${run.pack} in a message`,
      formatNumber(run.messages / run.seconds),
      formatNumber((run.messages / run.seconds) * run.pack),
      formatNumber((run.cpuSeconds.brokers / run.messages / slowness) * 1e6),
      run.brokers === 1 ? '' : formatNumber(run.routeBytes / run.messages),
    ]),
  );
}

export function tableOfRows(): string {
  return formatTable(
    [
      'rows in the table, in a flush',
      'flush ms',
      'CPU µs a row',
      'WAL bytes a row',
      'after a checkpoint',
    ],
    tableSizes
      .filter(({ isAfterCheckpoint }) => !isAfterCheckpoint)
      .map((run) => {
        const perFlush = Math.round(run.rows / run.flushes);
        const first = tableSizes.find(
          ({ tableRows, rows, flushes, isAfterCheckpoint }) =>
            isAfterCheckpoint &&
            tableRows === run.tableRows &&
            Math.abs(rows / flushes / perFlush - 1) < 0.1,
        );
        return [
          `${formatNumber(run.tableRows)}, ${formatNumber(perFlush)}`,
          formatNumber(run.flushMs),
          formatNumber((run.cpuSeconds.postgres / run.rows) * 1e6),
          formatNumber(run.walBytes / run.rows),
          first === undefined ? '' : formatNumber(first.walBytes / first.rows),
        ];
      }),
  );
}

/** Microseconds a request, from the load's end to its commit. */
export function idleAfterwards(counters: number, requests: number): number {
  return (counters * prices.counter.idle * FLUSH_INTERVAL_S) / requests;
}
