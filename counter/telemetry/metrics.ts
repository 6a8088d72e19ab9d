import { metrics, type ObservableResult } from '@opentelemetry/api';
import { operation } from './operation.ts';
import type { Stats } from './stats.ts';

/** What a counter service holds at the moment. */
export interface Held {
  messages: number;
  keys: number;
  /** Committed and not yet purged. */
  pending: number;
  oldestAgeMs: number;
  isBrokerConnected: boolean;
  isDatabaseConnected: boolean;
}

type Observe = (result: ObservableResult) => void;

/**
 * The counter service's instruments, on what its stats have counted. Ours have their unit in the name; no
 * key is ever a label.
 */
export function createMetrics(stats: Stats, readHeld: () => Held): void {
  observeMessages(stats);
  observeFlushes(stats);
  observeHeld(readHeld);
  observeStores(stats);
}

const meter = () => metrics.getMeter('increment-mesh/counter');

function counter(name: string, description: string, observe: Observe, unit = ''): void {
  meter().createObservableCounter(name, { description, unit }).addCallback(observe);
}

function gauge(name: string, description: string, observe: Observe): void {
  meter().createObservableGauge(name, { description }).addCallback(observe);
}

function observeMessages(stats: Stats): void {
  const received = operation('receive');
  counter(
    'messaging.client.consumed.messages',
    'Messages delivered to this counter service',
    (result) => result.observe(stats.messagesConsumed, received),
    '{message}',
  );
  counter(
    'counter_messages_redelivered',
    'Messages delivered to this counter service and not for the first time',
    (result) => result.observe(stats.messagesRedelivered),
  );
  counter('counter_messages_nakked', 'Messages handed back to the broker unflushed', (result) =>
    result.observe(stats.messagesNakked),
  );
  gauge(
    'counter_minting_skew_seconds',
    'When a message was stored less when its gateway says it was made: the farthest from 0 of the ' +
      'last minute. Beyond 30 minutes it is not counted',
    (result) => result.observe(stats.worstSkewMs() / 1000),
  );
}

function observeFlushes(stats: Stats): void {
  counter('counter_flushes_failed', 'Flushes given up after all their tries', (result) =>
    result.observe(stats.flushesFailed),
  );
  counter('increments_committed', 'Increments added to the table', (result) =>
    result.observe(stats.incrementsCommitted),
  );
  counter('increments_already_applied', 'Repeats that the ledger refused', (result) =>
    result.observe(stats.alreadyApplied),
  );
  counter('counter_rows_upserted', 'Rows of the table that flushes touched', (result) =>
    result.observe(stats.rowsCommitted),
  );
  counter(
    'counter_dead_letters',
    'Dead letters about messages and increments that could not be counted',
    (result) => {
      for (const [reason, count] of Object.entries(stats.deadLetters)) {
        result.observe(count, { reason });
      }
    },
  );
  gauge(
    'increments_staleness_worst_seconds',
    'The oldest increment at the commit of any flush of the last minute',
    (result) => result.observe(stats.worstStalenessMs() / 1000),
  );
}

function observeHeld(readHeld: () => Held): void {
  const held = (name: string, description: string, read: (held: Held) => number) =>
    gauge(name, description, (result) => result.observe(read(readHeld())));
  const flag = (isTrue: boolean) => (isTrue ? 1 : 0);
  held('counter_messages_held', 'Messages held, not committed', ({ messages }) => messages);
  held('counter_keys_held', 'Keys held, not committed', ({ keys }) => keys);
  held('counter_acks_pending', 'Messages committed, not purged', ({ pending }) => pending);
  held(
    'counter_oldest_age_seconds',
    'Age of the oldest increment held',
    ({ oldestAgeMs }) => oldestAgeMs / 1000,
  );
  held('broker_connected', '1 while the broker can be reached', ({ isBrokerConnected }) =>
    flag(isBrokerConnected),
  );
  held(
    'database_connected',
    '0 from a batch that could not be flushed until the database answers again',
    ({ isDatabaseConnected }) => flag(isDatabaseConnected),
  );
}

/** Nothing is observed of what was not looked at yet. */
function observeStores(stats: Stats): void {
  gauge(
    'audit_difference',
    'What the counters hold less what the messages added; anything but 0 is a fault',
    (result) => {
      if (stats.auditDifference !== undefined) result.observe(stats.auditDifference);
    },
  );
  gauge('stream_messages', 'Messages in the stream', (result) => {
    if (stats.stream !== undefined) result.observe(stats.stream.messages);
  });
  gauge(
    'stream_oldest_age_seconds',
    'Age of the oldest message in the stream; 0 where there is none',
    (result) => {
      if (stats.stream !== undefined) result.observe(stats.stream.ageMs / 1000);
    },
  );
  gauge('database_table_rows', 'Rows, as the server estimates them', (result) => {
    for (const { table, rows } of stats.tables) result.observe(rows, { table });
  });
  gauge('database_table_bytes', 'Size of a table with its indexes', (result) => {
    for (const { table, bytes } of stats.tables) result.observe(bytes, { table });
  });
}
