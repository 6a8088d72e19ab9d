import { metrics } from '@opentelemetry/api';

/** What a gateway tells its metrics; counted in plain numbers, since it happens on every request. */
export interface GatewayCounts {
  accepted: (increments: number) => void;
  answered: (status: number) => void;
  published: (pack: { increments: number; durationMs: number; error?: unknown }) => void;
}

/** Packs hold up to 500 increments, batches up to 10 000. */
const PACK_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2500, 5000, 10_000];
/** The buckets of OpenTelemetry's conventions for durations in seconds. */
const SECONDS_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** The gateway's instruments. Units are in the names; no key and no client is ever a label. */
export function createGatewayMetrics(observe: {
  waiting: () => number;
  isBrokerConnected: () => boolean;
}): GatewayCounts {
  const meter = metrics.getMeter('increment-mesh/gateway');
  let accepted = 0;
  const answers = new Map<number, number>();

  meter
    .createObservableCounter('increments_accepted', { description: 'Increments answered 200' })
    .addCallback((result) => result.observe(accepted));
  meter
    .createObservableCounter('gateway_responses', { description: 'Answers by HTTP status' })
    .addCallback((result) => {
      for (const [status, count] of answers) result.observe(count, { status: String(status) });
    });
  meter
    .createObservableGauge('gateway_increments_waiting', {
      description: 'Increments that wait for a place in a message',
    })
    .addCallback((result) => result.observe(observe.waiting()));
  meter
    .createObservableGauge('broker_connected', { description: '1 while the broker can be reached' })
    .addCallback((result) => result.observe(observe.isBrokerConnected() ? 1 : 0));
  const packSize = meter.createHistogram('gateway_pack_increments', {
    description: 'Increments that share a message',
    advice: { explicitBucketBoundaries: PACK_BUCKETS },
  });
  const publishDuration = meter.createHistogram('gateway_publish_duration_seconds', {
    description:
      "From publishing a message to the broker's acknowledgement, which follows its fsync",
    advice: { explicitBucketBoundaries: SECONDS_BUCKETS },
  });

  return {
    accepted: (increments) => {
      accepted += increments;
    },
    answered: (status) => {
      answers.set(status, (answers.get(status) ?? 0) + 1);
    },
    published: ({ increments, durationMs, error }) => {
      const outcome = { outcome: error === undefined ? 'stored' : 'failed' };
      packSize.record(increments);
      publishDuration.record(durationMs / 1000, outcome);
    },
  };
}
