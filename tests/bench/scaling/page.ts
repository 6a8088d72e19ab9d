/* The tables of docs/scaling.md, from what was measured, the model and the simulation. */
import { formatNumber, formatTable } from '../harness/table.ts';
import {
  fitted,
  points,
  predicted,
  prices,
  slowness,
  slownessAt,
  stream,
  tableSizes,
} from './measured.ts';
import { costsOf, FLUSH_INTERVAL_S, type Load } from './model.ts';
import type { Point } from './point.ts';
import { simulateQueues, type QueueCosts, type QueueSimulation } from './simulate-queues.ts';

/** One broker on the machine of docs/benchmarks.md stored 5 255 messages of one increment a second. */
const MESSAGE_MS = 1_000 / 5_255;
/** One way, between machines, and within one. */
const NETWORK_MS = 0.1;
const LOOPBACK_MS = 0.02;
/** A gateway's CPU for an increment of a batch of 10 000: one core took 1 556 000 a second. */
const BATCHED_INCREMENT_US = 0.64;
const PACK_MAX = 500;
/** How far a process or a stream is loaded at most, so that what varies has room. */
const BUSY_MAX = 0.7;
const US = 1e-6;
const PREDICTED = {
  gateways: 3,
  counters: 3,
  brokers: 3,
  keys: 300_000,
  connections: 128,
} as const;
const PREDICTED_SECONDS = 4;
/** In that time, as far as one can tell. */
const PREDICTED_REQUESTS = 14_000;

/** By the name of their place in the page. */
export function makeTables(): Record<string, string> {
  return {
    slowness: sentenceOfSlowness(),
    prices: tableOfPrices(),
    points: tableOfPoints(fitted),
    prediction: tableOfPrediction(),
    stream: tableOfStream(),
    rows: tableOfRows(),
    validation: tableOfValidation(),
    queues: tableOfQueues(),
    loads: tableOfLoads(),
  };
}

function sentenceOfSlowness(): string {
  const factor = formatNumber(slowness);
  return `The machine was ${factor} times slower then than in [benchmarks](benchmarks.md), by what a request costs Fastify
that stores nothing. CPU is divided by that; syncs, bytes and messages/s are as they were.`;
}

function tableOfPrices(): string {
  const { gateway, oneBroker, threeBrokers, counter, row } = prices;
  const cells = ([name, ...numbers]: [string, ...(number | undefined)[]]) => [
    name,
    ...numbers.map((number) => (number === undefined ? '' : formatNumber(number))),
  ];
  return formatTable(
    ['CPU µs', 'a request or increment', 'a message', 'a row'],
    [
      cells(['gateway', gateway.request, gateway.message, undefined]),
      cells(['one broker', oneBroker.increment, oneBroker.message, undefined]),
      cells(['three brokers together', threeBrokers.increment, threeBrokers.message, undefined]),
      cells(['counter service', counter.increment, counter.message, row.counter]),
      cells(['PostgreSQL', undefined, row.postgres, row.postgres]),
    ],
  );
}

function tableOfPoints(of: Point[]): string {
  const rows = of.map((point) => {
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

/** Microseconds a request, from the load's end to its commit. */
function idleAfterwards(counters: number, requests: number): number {
  return (counters * prices.counter.idle * FLUSH_INTERVAL_S) / requests;
}

/** The pack is not asked of the measurement: half of a gateway's clients wait while the other half is stored. */
function tableOfPrediction(): string {
  const { gateways, counters, brokers, keys, connections } = PREDICTED;
  const pack = connections / gateways / 2;
  const requests = predicted?.requests ?? PREDICTED_REQUESTS;
  const incrementsPerSecond = requests / PREDICTED_SECONDS;
  const model = costsOf({ incrementsPerSecond, batch: 1, pack, counters, brokers, keys }, prices);
  const perRequest = (cores: number) => (cores / incrementsPerSecond) * 1e6;
  const measured = (kind: keyof Point['cpuSeconds']) =>
    predicted && (predicted.cpuSeconds[kind] / predicted.requests / slownessAt(predicted)) * 1e6;
  const rows: [string, number, number | undefined][] = [
    ['increments in a message', pack, predicted && predicted.requests / predicted.messages],
    ['gateways, µs a request', perRequest(model.cores.gateways), measured('gateway')],
    ['brokers, µs a request', perRequest(model.cores.brokers), measured('broker')],
    [
      'counter services, µs a request',
      perRequest(model.cores.counters) + idleAfterwards(counters, requests),
      measured('counter'),
    ],
    [
      'bytes between brokers, a request',
      model.routeBytesPerSecond / incrementsPerSecond,
      predicted && predicted.routeBytes / predicted.requests,
    ],
    [
      'rows a request',
      (counters * keys * -Math.expm1(-requests / counters / keys)) / requests,
      predicted && predicted.rows / predicted.requests,
    ],
  ];
  return formatTable(
    ['', 'predicted', 'measured', 'measured / predicted'],
    rows.map(([name, expected, found]) => [
      name,
      formatNumber(expected),
      formatNumber(found),
      found === undefined ? '–' : (found / expected).toFixed(2),
    ]),
  );
}

function nameOf({ gateways, counters, brokers, keys, connections }: Point): string {
  const parts = [`${gateways} gateway${gateways === 1 ? '' : 's'}`];
  parts.push(`${counters} counter service${counters === 1 ? '' : 's'}`);
  parts.push(`${brokers} broker${brokers === 1 ? '' : 's'}`);
  return `${parts.join(', ')}, ${formatNumber(keys)} keys, ${connections} connections`;
}

function pair(measured: number, model: number): string {
  return `${formatNumber(measured)} / ${formatNumber(model)}`;
}

function tableOfStream(): string {
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

function tableOfRows(): string {
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

/**
 * @param messageMs how long one message takes a single broker, its sync included, on average.
 * @param scale how much slower the machine is than that of docs/benchmarks.md.
 */
function queueCosts(messageMs: number, scale: number, networkMs: number): QueueCosts {
  const mean = stream.syncMs.reduce((sum, each) => sum + each, 0) / stream.syncMs.length;
  const ms = (microseconds: number) => (microseconds * scale) / 1_000;
  return {
    // By profile, more than half of a request's CPU is spent before it is published.
    gateway: {
      acceptMs: ms(prices.gateway.request * 0.6),
      answerMs: ms(prices.gateway.request * 0.4),
      publishMs: ms(prices.gateway.message),
    },
    leader: {
      messageMs: 0,
      incrementMs: (incrementMsOfStream() / slowness) * scale,
      // What each of three brokers does more than a single one.
      logMs: ms(Math.max(0, prices.threeBrokers.message / 3 - prices.oneBroker.message)),
    },
    syncMs: stream.syncMs.map((each) => (each / mean) * messageMs),
    networkMs,
  };
}

/** How much longer a larger message takes a single broker. */
function incrementMsOfStream(): number {
  const full = messageMsOfStream(PACK_MAX);
  return Math.max(0, full - messageMsOfStream(1)) / (PACK_MAX - 1);
}

function messageMsOfStream(pack: number): number {
  const run = stream.runs.find((each) => each.brokers === 1 && each.pack === pack);
  if (run === undefined) throw new Error(`stream-limit.json has no run of ${pack} in a message`);
  return (run.seconds / run.messages) * 1_000;
}

/** Where no more than two processes want the two cores most of the time. */
function tableOfValidation(): string {
  const costs = queueCosts(messageMsOfStream(1), slowness, LOOPBACK_MS * slowness);
  const rows = points
    .filter(
      ({ gateways, counters, brokers, keys }) =>
        gateways + counters + brokers === 3 && keys === 1_000,
    )
    .map((point) => {
      const figures = simulateQueues({
        seed: 1,
        gateways: 1,
        brokers: point.brokers,
        load: { connections: point.connections, clientMs: 0.004 * slowness },
        costs,
        warmupMs: 500,
        measuredMs: 4_000,
      });
      return [
        nameOf(point),
        pair(point.requests / point.seconds, figures.requestsPerSecond),
        pair(point.requests / point.messages, figures.pack.mean),
        pair(point.p50Ms, figures.latency.p50),
        pair(point.p99Ms, figures.latency.p99),
      ];
    });
  return formatTable(['measured / simulated', 'requests/s', 'pack', 'p50 ms', 'p99 ms'], rows);
}

/** A second message that leaves only when the first is very late. */
const PATIENT = { inFlightMax: 2, lateMs: 50 };

function tableOfQueues(): string {
  const shapes: [requestsPerSecond: number, gateways: number, brokers: 1 | 3][] = [
    [10_000, 1, 1],
    [10_000, 1, 3],
    [10_000, 10, 1],
    [10_000, 10, 3],
    [10_000, 100, 1],
    [10_000, 1_000, 1],
    [100_000, 10, 1],
    [100_000, 100, 1],
    [1_000_000, 30, 1],
    [1_000_000, 100, 1],
    [1_000_000, 1_000, 1],
  ];
  const costs = queueCosts(MESSAGE_MS, 1, NETWORK_MS);
  const rows = shapes.map(([requestsPerSecond, gateways, brokers]) => {
    const simulation: QueueSimulation = {
      seed: 1,
      gateways,
      brokers,
      load: { requestsPerSecond },
      costs,
      warmupMs: requestsPerSecond === 1_000_000 ? 500 : 1_000,
      measuredMs: requestsPerSecond === 1_000_000 ? 200 : 1_000,
    };
    const { pack, messagesPerSecond, busy, latency } = simulateQueues(simulation);
    // A thousand would take long, and say the same.
    const patient =
      gateways === 1_000 ? undefined : simulateQueues({ ...simulation, inFlight: PATIENT }).latency;
    return [
      [requestsPerSecond, gateways, brokers].map(formatNumber).join(', '),
      `${formatNumber(pack.mean)}, ${formatNumber(pack.p99)}`,
      formatNumber(messagesPerSecond),
      `${Math.round(busy.leader * 100)} %`,
      `${formatNumber(latency.p50)}, ${formatNumber(latency.p99)}`,
      patient === undefined ? '' : `${formatNumber(patient.p50)}, ${formatNumber(patient.p99)}`,
    ];
  });
  return formatTable(
    [
      'requests/s, gateways, brokers',
      'pack: mean, p99',
      'messages/s',
      'leader busy',
      'p50, p99 ms',
      'p50, p99 ms, late after 50 ms',
    ],
    rows,
  );
}

function tableOfLoads(): string {
  const incrementMs = incrementMsOfStream() / slowness;
  const loads: [name: string, load: Pick<Load, 'incrementsPerSecond' | 'batch' | 'pack'>][] = [
    ['10 000, singly', { incrementsPerSecond: 1e4, batch: 1, pack: 10 }],
    ['1 million, singly', { incrementsPerSecond: 1e6, batch: 1, pack: PACK_MAX }],
    ['1 million, in batches', { incrementsPerSecond: 1e6, batch: 10_000, pack: 10_000 }],
    ['10 million, singly', { incrementsPerSecond: 1e7, batch: 1, pack: PACK_MAX }],
    ['10 million, in batches', { incrementsPerSecond: 1e7, batch: 10_000, pack: 10_000 }],
  ];
  const columns = loads.map(([, load]) => {
    const counters = Math.ceil(
      (load.incrementsPerSecond * prices.counter.increment * US) / BUSY_MAX,
    );
    const of = (keys: number) => costsOf({ ...load, counters, brokers: 3, keys }, prices);
    const { cores, messagesPerSecond, streamBytesPerSecond, routeBytesPerSecond, ledgerBytes } =
      of(100_000);
    const gatewayCores =
      load.batch === 1 ? cores.gateways : load.incrementsPerSecond * BATCHED_INCREMENT_US * US;
    const serviceMs = MESSAGE_MS + load.pack * incrementMs;
    const databases = [100_000, 10_000_000].map((keys) => of(keys));
    return [
      gatewayCores,
      load.pack,
      messagesPerSecond,
      messagesPerSecond * serviceMs * 1e-3,
      (streamBytesPerSecond * 8) / 1e9,
      (routeBytesPerSecond * 8) / 1e9,
      counters,
      ...databases.flatMap((each) => [
        each.rowsPerSecond,
        each.cores.postgres,
        each.walBytesPerSecond / 1e6,
      ]),
      ledgerBytes / 1e9,
    ];
  });
  const names = [
    'gateways: cores',
    'increments in a message',
    'messages/s',
    'streams on one broker, kept busy',
    'into the stream, Gbit/s',
    'between three brokers, Gbit/s',
    'counter services',
    '100 thousand keys: rows/s',
    'PostgreSQL cores',
    'WAL, MB/s',
    '10 million keys: rows/s',
    'PostgreSQL cores',
    'WAL, MB/s',
    'ledger, GB',
  ];
  return formatTable(
    ['increments/s', ...loads.map(([name]) => name)],
    names.map((name, row) => [name, ...columns.map((column) => formatNumber(column[row]))]),
  );
}
