import { metrics } from '@opentelemetry/api';
import type { FlushResult } from './flush.ts';
import type { StreamState } from './stream-state.ts';

/** What a counter tells its metrics. */
export interface CounterMetrics {
  received: (isRedelivered: boolean) => void;
  flushed: (result: FlushResult, times: { durationMs: number; stalenessMs: number }) => void;
  gaveBack: (messages: number) => void;
  /** A load was given back after all its tries. */
  flushFailed: () => void;
  streamSeen: (stream: StreamState) => void;
  /** What the counters hold less what the messages added; anything but 0 is a fault. */
  audited: (difference: number) => void;
}

export interface CounterObservation {
  messages: number;
  keys: number;
  pending: number;
  oldestAgeMs: number;
  isBrokerConnected: boolean;
  isDatabaseConnected: boolean;
}

/** Fine around the bound of ten seconds. */
const STALENESS_BUCKETS = [
  1, 2, 4, 6, 8, 8.5, 9, 9.25, 9.5, 9.75, 10, 11, 12, 13, 15, 20, 30, 60, 300,
];
const SECONDS_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/** The counter's instruments. Units are in the names; no key is ever a label. */
export function createCounterMetrics(observe: () => CounterObservation): CounterMetrics {
  const meter = metrics.getMeter('increment-mesh/counter');
  const counter = (name: string, description: string) => meter.createCounter(name, { description });
  const gaveBack = counter(
    'counter_messages_given_back',
    'Messages handed back to the broker unflushed',
  );
  const committed = counter('increments_committed', 'Increments added to the table');
  const applied = counter('increments_already_applied', 'Repeats that the ledger refused');
  const deadLetters = counter(
    'counter_dead_letters',
    'Messages and increments that could not be counted',
  );
  const rows = counter('counter_rows_upserted', 'Rows of the table that flushes touched');
  const flushDuration = meter.createHistogram('counter_flush_duration_seconds', {
    description: 'From the start of a flush to its commit, retries included',
    advice: { explicitBucketBoundaries: SECONDS_BUCKETS },
  });
  const staleness = meter.createHistogram('increments_staleness_seconds', {
    description: 'Age of the oldest increment of a flush at its commit',
    advice: { explicitBucketBoundaries: STALENESS_BUCKETS },
  });
  let consumed = 0;
  let redelivered = 0;

  meter
    .createObservableCounter('counter_messages_consumed', {
      description: 'Messages delivered to this counter',
    })
    .addCallback((result) => result.observe(consumed));
  meter
    .createObservableCounter('counter_messages_redelivered', {
      description: 'Messages delivered to this counter and not for the first time',
    })
    .addCallback((result) => result.observe(redelivered));
  meter
    .createObservableGauge('counter_messages_held', { description: 'Messages held, not committed' })
    .addCallback((result) => result.observe(observe().messages));
  meter
    .createObservableGauge('counter_keys_held', { description: 'Keys held, not committed' })
    .addCallback((result) => result.observe(observe().keys));
  meter
    .createObservableGauge('counter_acks_pending', {
      description: 'Messages committed, not yet purged',
    })
    .addCallback((result) => result.observe(observe().pending));
  meter
    .createObservableGauge('counter_oldest_age_seconds', {
      description: 'Age of the oldest increment held',
    })
    .addCallback((result) => result.observe(observe().oldestAgeMs / 1000));
  meter
    .createObservableGauge('broker_connected', { description: '1 while the broker can be reached' })
    .addCallback((result) => result.observe(observe().isBrokerConnected ? 1 : 0));
  meter
    .createObservableGauge('database_connected', {
      description: '0 from a load that could not be flushed until the database answers again',
    })
    .addCallback((result) => result.observe(observe().isDatabaseConnected ? 1 : 0));
  const failed = counter('counter_flushes_failed', 'Flushes given up after all their tries');
  const difference = meter.createGauge('audit_difference', {
    description: 'What the counters hold less what the messages added; anything but 0 is a fault',
  });
  // A rate needs a first sample of 0, or the first event is not seen.
  for (const each of [gaveBack, committed, applied, deadLetters, rows, failed]) each.add(0);
  const streamMessages = meter.createGauge('stream_messages', {
    description: 'Messages in the stream',
  });
  const streamAge = meter.createGauge('stream_oldest_age_seconds', {
    description: 'Age of the oldest message in the stream; 0 where there is none',
  });

  return {
    received: (isRedelivered) => {
      consumed++;
      if (isRedelivered) redelivered++;
    },
    flushed: (result, { durationMs, stalenessMs }) => {
      committed.add(result.increments);
      applied.add(result.alreadyApplied);
      deadLetters.add(result.deadLetters);
      rows.add(result.keys);
      flushDuration.record(durationMs / 1000);
      if (Number.isFinite(stalenessMs)) staleness.record(stalenessMs / 1000);
    },
    gaveBack: (messages) => gaveBack.add(messages),
    flushFailed: () => failed.add(1),
    audited: (found) => difference.record(found),
    streamSeen: ({ messages, unsettledSinceMs }) => {
      streamMessages.record(messages);
      streamAge.record(messages === 0 ? 0 : Math.max(0, Date.now() - unsettledSinceMs) / 1000);
    },
  };
}
