import { metrics } from '@opentelemetry/api';
import { FINDINGS, type Finding } from '../../telemetry/diagnosis/findings.ts';
import { NOT_STORED, STORED, type Stats } from './stats.ts';

/**
 * The gateway's instruments, read from its stats. Our own metrics have their unit in the name; no key and
 * no client is ever a label.
 */
export function createMetrics(
  stats: Stats,
  observe: {
    waiting: () => number;
    isBrokerConnected: () => boolean;
    readFindings: () => Finding[];
  },
): void {
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
  const refused = (name: string, what: 'requests' | 'increments', description: string) =>
    counter(name, description).addCallback((result) => {
      for (const [reason, counts] of Object.entries(stats.refusals)) {
        result.observe(counts[what], { reason });
      }
    });
  refused('requests_refused', 'requests', 'Requests answered with a problem, by its code');
  refused('increments_refused', 'increments', 'Increments in refused requests, if they were read');
  counter(
    'messaging.client.sent.messages',
    'Messages published, stored or not',
    '{message}',
  ).addCallback((result) => {
    result.observe(stats.messagesStored, STORED);
    result.observe(stats.messagesFailed, NOT_STORED);
  });
}
