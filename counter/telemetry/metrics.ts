import { metrics, type Attributes } from '@opentelemetry/api';
import { COUNTER, INCREMENTS } from '../../nats/streams.ts';
import type { DeadLetterReason } from '../../schema/message/envelope.ts';
import { SECONDS_BUCKETS } from '../../telemetry/conventions.ts';
import { createRollingMaximum } from '../../telemetry/rolling-maximum.ts';
import type { FlushResult } from '../flush/flush.ts';
import type { StreamState } from '../settle/stream-state.ts';
import type { TableSize } from '../maintenance/table-sizes.ts';

/** What a counter tells its metrics. */
export interface CounterMetrics {
  received: (isRedelivered: boolean) => void;
  /** How long after it was made a message was stored, as the two clocks have it. */
  skewSeen: (skewMs: number) => void;
  flushed: (result: FlushResult, times: { durationMs: number; stalenessMs: number }) => void;
  gaveBack: (messages: number) => void;
  /** A batch was given back after all its tries. */
  flushFailed: () => void;
  /** The broker has removed what is settled. */
  purged: (durationMs: number) => void;
  streamSeen: (stream: StreamState) => void;
  tablesSeen: (tables: TableSize[]) => void;
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

/** Each has a series from the start: a rate needs a first sample of 0 to see the first letter. */
const NO_LETTERS: Record<DeadLetterReason, 0> = {
  'not-json': 0,
  'wrong-shape': 0,
  'bad-key': 0,
  'bad-value': 0,
  'bad-idempotency-key': 0,
  'idempotency-key-reused': 0,
  'message-id-reused': 0,
  late: 0,
  'refused-by-database': 0,
  'not-countable': 0,
};

/** The counter's instruments. Ours have their unit in the name; no key is ever a label. */
export function createCounterMetrics(observe: () => CounterObservation): CounterMetrics {
  observeHoldings(observe);
  return { ...createIntakeMetrics(), ...createFlushMetrics(), ...createStoreMetrics() };
}

const meter = () => metrics.getMeter('increment-mesh/counter');

/** A rate needs a first sample of 0, or the first event is not seen. */
function createCounter(name: string, description: string) {
  const counter = meter().createCounter(name, { description });
  counter.add(0);
  return counter;
}

function observeGauge(name: string, description: string, read: () => number): void {
  meter()
    .createObservableGauge(name, { description })
    .addCallback((result) => result.observe(read()));
}

/** The attributes of OpenTelemetry's conventions for an operation on the stream. */
function operation(name: string): Attributes {
  return {
    'messaging.system': 'nats',
    'messaging.operation.name': name,
    'messaging.destination.name': INCREMENTS,
    'messaging.consumer.group.name': COUNTER,
  };
}

function observeHoldings(observe: () => CounterObservation): void {
  const flag = (isTrue: boolean) => (isTrue ? 1 : 0);
  observeGauge('counter_messages_held', 'Messages held, not committed', () => observe().messages);
  observeGauge('counter_keys_held', 'Keys held, not committed', () => observe().keys);
  observeGauge('counter_acks_pending', 'Messages committed, not purged', () => observe().pending);
  observeGauge(
    'counter_oldest_age_seconds',
    'Age of the oldest increment held',
    () => observe().oldestAgeMs / 1000,
  );
  observeGauge('broker_connected', '1 while the broker can be reached', () =>
    flag(observe().isBrokerConnected),
  );
  observeGauge(
    'database_connected',
    '0 from a batch that could not be flushed until the database answers again',
    () => flag(observe().isDatabaseConnected),
  );
}

/** Counted in plain numbers, since it happens for every message. */
function createIntakeMetrics(): Pick<CounterMetrics, 'received' | 'skewSeen'> {
  const attributes = operation('receive');
  const worstSkewMs = createRollingMaximum();
  let consumed = 0;
  let redelivered = 0;
  meter()
    .createObservableCounter('messaging.client.consumed.messages', {
      description: 'Messages delivered to this counter',
      unit: '{message}',
    })
    .addCallback((result) => result.observe(consumed, attributes));
  meter()
    .createObservableCounter('counter_messages_redelivered', {
      description: 'Messages delivered to this counter and not for the first time',
    })
    .addCallback((result) => result.observe(redelivered));
  observeGauge(
    'counter_minting_skew_seconds',
    'When a message was stored less when its gateway says it was made: the farthest from 0 of the ' +
      'last minute. Beyond 30 minutes it is not counted',
    () => worstSkewMs.read() / 1000,
  );
  return {
    received: (isRedelivered) => {
      consumed++;
      if (isRedelivered) redelivered++;
    },
    skewSeen: worstSkewMs.add,
  };
}

function createFlushMetrics(): Pick<CounterMetrics, 'flushed' | 'gaveBack' | 'flushFailed'> {
  const gaveBack = createCounter(
    'counter_messages_given_back',
    'Messages handed back to the broker unflushed',
  );
  const failed = createCounter('counter_flushes_failed', 'Flushes given up after all their tries');
  const committed = createCounter('increments_committed', 'Increments added to the table');
  const applied = createCounter('increments_already_applied', 'Repeats that the ledger refused');
  const rows = createCounter('counter_rows_upserted', 'Rows of the table that flushes touched');
  const deadLetters = meter().createCounter('counter_dead_letters', {
    description: 'Letters about messages and increments that could not be counted',
  });
  for (const reason of Object.keys(NO_LETTERS)) deadLetters.add(0, { reason });
  const duration = meter().createHistogram('messaging.process.duration', {
    description: 'From the start of a flush to its commit, retries included',
    unit: 's',
    advice: { explicitBucketBoundaries: SECONDS_BUCKETS },
  });
  const step = meter().createHistogram('counter_flush_step_duration_seconds', {
    description: 'Duration of each step of the flush that succeeded',
    advice: { explicitBucketBoundaries: SECONDS_BUCKETS },
  });
  const staleness = meter().createHistogram('increments_staleness_seconds', {
    description: 'Age of the oldest increment of a flush at its commit',
    advice: { explicitBucketBoundaries: STALENESS_BUCKETS },
  });
  const worstStalenessMs = createRollingMaximum();
  observeGauge(
    'increments_staleness_worst_seconds',
    'The oldest increment at the commit of any flush of the last minute',
    () => worstStalenessMs.read() / 1000,
  );
  const attributes = operation('process');

  return {
    flushed: (result, { durationMs, stalenessMs }) => {
      committed.add(result.increments);
      applied.add(result.alreadyApplied);
      rows.add(result.keys);
      for (const [reason, count] of Object.entries(result.reasons)) {
        deadLetters.add(count, { reason });
      }
      duration.record(durationMs / 1000, attributes);
      for (const [name, ms] of Object.entries(result.stepsMs))
        step.record(ms / 1000, { step: name });
      // Infinite where the flush added nothing.
      if (!Number.isFinite(stalenessMs)) return;
      staleness.record(stalenessMs / 1000);
      worstStalenessMs.add(stalenessMs);
    },
    gaveBack: (messages) => gaveBack.add(messages),
    flushFailed: () => failed.add(1),
  };
}

function createStoreMetrics(): Pick<
  CounterMetrics,
  'purged' | 'streamSeen' | 'tablesSeen' | 'audited'
> {
  const gauge = (name: string, description: string) => meter().createGauge(name, { description });
  const duration = meter().createHistogram('messaging.client.operation.duration', {
    description: 'Duration of a purge, which settles everything that is proven',
    unit: 's',
    advice: { explicitBucketBoundaries: SECONDS_BUCKETS },
  });
  const difference = gauge(
    'audit_difference',
    'What the counters hold less what the messages added; anything but 0 is a fault',
  );
  const messages = gauge('stream_messages', 'Messages in the stream');
  const age = gauge(
    'stream_oldest_age_seconds',
    'Age of the oldest message in the stream; 0 where there is none',
  );
  const tableRows = gauge('database_table_rows', 'Rows, as the server estimates them');
  const tableBytes = gauge('database_table_bytes', 'Size of a table with its indexes');
  const settle = operation('settle');

  return {
    purged: (durationMs) => duration.record(durationMs / 1000, settle),
    streamSeen: (stream) => {
      messages.record(stream.messages);
      const ageMs = stream.messages === 0 ? 0 : Date.now() - stream.unsettledSinceMs;
      age.record(Math.max(0, ageMs) / 1000);
    },
    tablesSeen: (tables) => {
      for (const { table, rows, bytes } of tables) {
        tableRows.record(rows, { table });
        tableBytes.record(bytes, { table });
      }
    },
    audited: (found) => difference.record(found),
  };
}
