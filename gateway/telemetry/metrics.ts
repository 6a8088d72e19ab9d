import { metrics } from '@opentelemetry/api';
import type { PublishedMessage } from '../increments/group-commit.ts';
import { FINDINGS, type Finding } from '../../telemetry/diagnosis/findings.ts';
import { NOT_STORED, STORED, type Stats } from './stats.ts';

/** Packs hold up to 500 increments, batches up to 10 000. */
const PACK_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2500, 5000, 10_000];

/**
 * The gateway's instruments, read from its stats. Our own metrics have their unit in the name; no key and
 * no client is ever a label.
 *
 * @returns a function that records the size of each message.
 */
export function createMetrics(
  stats: Stats,
  observe: {
    waiting: () => number;
    isBrokerConnected: () => boolean;
    readFindings: () => Finding[];
  },
): (message: PublishedMessage) => void {
  const meter = metrics.getMeter('increment-mesh/gateway');
  const counter = (name: string, description: string, unit = '') =>
    meter.createObservableCounter(name, { description, unit });
  const gauge = (name: string, description: string, read: () => number) =>
    meter
      .createObservableGauge(name, { description })
      .addCallback((result) => result.observe(read()));

  counter('increments_accepted', 'Increments answered 200').addCallback((result) =>
    result.observe(stats.incrementsAccepted),
  );
  gauge('gateway_increments_waiting', 'Increments that wait to be published', observe.waiting);
  gauge('broker_connected', '1 while the broker can be reached', () =>
    observe.isBrokerConnected() ? 1 : 0,
  );
  meter
    .createObservableGauge('mesh_findings', {
      description: '1 while this gateway knows something to be wrong with the mesh, by its name',
    })
    .addCallback((result) => {
      const found = new Set<string>(observe.readFindings().map(({ name }) => name));
      for (const [finding, { level }] of Object.entries(FINDINGS)) {
        result.observe(found.has(finding) ? 1 : 0, { finding, level });
      }
    });
  gauge('gateway_connections', 'Connections that are open', () => stats.connectionsOpen);
  counter(
    'gateway_connections_refused',
    'Connections closed at once: too many in all (total) or from one address (address)',
  ).addCallback((result) => {
    const { total, address } = stats.connectionsRefused;
    result.observe(total, { reason: 'total' });
    result.observe(address, { reason: 'address' });
  });
  counter('requests_refused', 'Requests answered with a problem, by its code').addCallback(
    (result) => {
      for (const [reason, { requests }] of stats.refusals) result.observe(requests, { reason });
    },
  );
  counter('increments_refused', 'Increments in refused requests, if they were read').addCallback(
    (result) => {
      for (const [reason, { increments }] of stats.refusals) result.observe(increments, { reason });
    },
  );
  counter(
    'messaging.client.sent.messages',
    'Messages published, stored or not',
    '{message}',
  ).addCallback((result) => {
    result.observe(stats.messagesStored, STORED);
    result.observe(stats.messagesFailed, NOT_STORED);
  });
  const packSize = meter.createHistogram('gateway_pack_increments', {
    description: 'Increments in a message',
    advice: { explicitBucketBoundaries: PACK_BUCKETS },
  });
  return ({ increments }) => packSize.record(increments);
}
