import { formatNumber, formatTable } from '../harness/table.ts';
import { nameOf, pair } from './cells.ts';
import { points, slownessAt } from './measured.ts';
import { MESSAGE_MS, messageMsOfStream, queueCosts } from './queue-costs.ts';
import { simulateQueues, type QueueSimulation } from './simulate-queues.ts';

/** One way, between machines, and within one. */
const NETWORK_MS = 0.1;
const LOOPBACK_MS = 0.02;
/** The load generator's CPU for a request. */
const CLIENT_MS = 0.004;

/** Where no more than two processes want the two cores most of the time. */
export function tableOfValidation(): string {
  const rows = points
    .filter(
      ({ gateways, counters, brokers, keys }) =>
        gateways + counters + brokers === 3 && keys === 1_000,
    )
    .map((point) => {
      const scale = slownessAt(point);
      const figures = simulateQueues({
        seed: 1,
        gateways: 1,
        brokers: point.brokers,
        load: { connections: point.connections, clientMs: CLIENT_MS * scale },
        costs: queueCosts(messageMsOfStream(1), scale, LOOPBACK_MS * scale),
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

export function tableOfQueues(): string {
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
  ];
  const costs = queueCosts(MESSAGE_MS, 1, NETWORK_MS);
  const rows = shapes.map(([requestsPerSecond, gateways, brokers]) => {
    const simulation: QueueSimulation = {
      seed: 1,
      gateways,
      brokers,
      load: { requestsPerSecond },
      costs,
      warmupMs: requestsPerSecond === 1_000_000 ? 250 : 1_000,
      measuredMs: requestsPerSecond === 1_000_000 ? 150 : 1_000,
    };
    const { pack, messagesPerSecond, busy, latency } = simulateQueues(simulation);
    return [
      [requestsPerSecond, gateways, brokers].map(formatNumber).join(', '),
      `${formatNumber(pack.mean)}, ${formatNumber(pack.p99)}`,
      formatNumber(messagesPerSecond),
      `${Math.round(busy.leader * 100)} %`,
      `${formatNumber(latency.p50)}, ${formatNumber(latency.p99)}`,
    ];
  });
  return formatTable(
    [
      'requests/s, gateways, brokers',
      'pack: mean, p99',
      'messages/s',
      'leader busy',
      'p50, p99 ms',
    ],
    rows,
  );
}
