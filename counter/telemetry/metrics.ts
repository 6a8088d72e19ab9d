import { metrics, type ObservableResult } from '@opentelemetry/api';
import { PARKED_SEEN_MAX, type ParkedState } from '../../schema/database/parked-state.ts';
import { operation } from './operation.ts';
import type { Stats } from './stats.ts';

/** What a counter service holds now. */
export interface Held {
  messages: number;
  keys: number;
  /** Committed and not yet purged. */
  pending: number;
  oldestAgeMs: number;
  isBrokerConnected: boolean;
}

type Observe = (result: ObservableResult) => void;

/**
 * The counter service's instruments, read from its stats. Our own metrics have their unit in the name; no
 * key is ever a label.
 */
export function createMetrics(stats: Stats, readHeld: () => Held): void {
  observeMessages(stats);
  observeFlushes(stats);
  observeHeld(readHeld);
  observeStores(stats);
}

const meter = () => metrics.getMeter('increment-mesh/counter');

function observableCounter(name: string, description: string, observe: Observe, unit = ''): void {
  meter().createObservableCounter(name, { description, unit }).addCallback(observe);
}

function gauge(name: string, description: string, observe: Observe): void {
  meter().createObservableGauge(name, { description }).addCallback(observe);
}

function observeMessages(stats: Stats): void {
  const received = operation('receive');
  observableCounter(
    'messaging.client.consumed.messages',
    'Messages delivered to this counter service',
    (result) => result.observe(stats.messagesConsumed, received),
    '{message}',
  );
  observableCounter(
    'counter_messages_redelivered',
    'Redelivered messages received by this counter service',
    (result) => result.observe(stats.messagesRedelivered),
  );
  observableCounter(
    'counter_messages_nakked',
    'Messages returned to the broker without being flushed',
    (result) => result.observe(stats.messagesNakked),
  );
  gauge(
    'counter_minting_skew_seconds',
    'Storage time of a message minus the creation time in its id: the value farthest from 0 in the ' +
      'last minute. Beyond 30 minutes a message is not counted',
    (result) => result.observe(stats.worstSkewMs() / 1000),
  );
}

function observeFlushes(stats: Stats): void {
  observableCounter(
    'counter_flushes_failed',
    'Flushes given up after all their retries',
    (result) => result.observe(stats.flushesFailed),
  );
  observableCounter('increments_committed', 'Increments added to the table', (result) =>
    result.observe(stats.incrementsCommitted),
  );
  observableCounter(
    'increments_already_applied',
    'Repeated messages and increments that the ledger refused',
    (result) => result.observe(stats.alreadyApplied),
  );
  observableCounter(
    'counter_rows_upserted',
    'Rows of the table that flushes inserted or updated',
    (result) => result.observe(stats.rowsCommitted),
  );
  observableCounter(
    'counter_dead_letters',
    'Dead letters for messages and increments that could not be counted',
    (result) => {
      for (const [reason, count] of Object.entries(stats.deadLetters)) {
        result.observe(count, { reason });
      }
    },
  );
  gauge(
    'increments_staleness_worst_seconds',
    'Age of the oldest increment at a commit, the maximum of the last minute',
    (result) => result.observe(stats.worstStalenessMs() / 1000),
  );
}

function observeHeld(readHeld: () => Held): void {
  const held = (name: string, description: string, read: (held: Held) => number) =>
    gauge(name, description, (result) => result.observe(read(readHeld())));
  const flag = (isTrue: boolean) => (isTrue ? 1 : 0);
  held('counter_messages_held', 'Messages held and not committed', ({ messages }) => messages);
  held('counter_keys_held', 'Keys held and not committed', ({ keys }) => keys);
  held('counter_acks_pending', 'Messages committed and not purged', ({ pending }) => pending);
  held(
    'counter_oldest_age_seconds',
    'Age of the oldest increment held',
    ({ oldestAgeMs }) => oldestAgeMs / 1000,
  );
  held('broker_connected', '1 while the broker can be reached', ({ isBrokerConnected }) =>
    flag(isBrokerConnected),
  );
}

/** Values that were not read yet are not reported. */
function observeStores(stats: Stats): void {
  gauge(
    'audit_difference',
    'Sum of the counters minus what the messages added; anything but 0 is an error',
    (result) => {
      if (stats.auditDifference !== undefined) result.observe(stats.auditDifference);
    },
  );
  gauge('stream_messages', 'Messages in the stream', (result) => {
    if (stats.stream !== undefined) result.observe(stats.stream.messages);
  });
  gauge('stream_bytes', 'Size of the stream on disk', (result) => {
    if (stats.stream !== undefined) result.observe(stats.stream.bytes);
  });
  gauge('stream_bytes_max', 'Size at which the stream refuses more; 0 for no limit', (result) => {
    if (stats.stream !== undefined) result.observe(stats.stream.bytesMax);
  });
  gauge(
    'stream_replicas_behind',
    'Servers that lack something of the streams or the consumer, which they should keep',
    (result) => {
      if (stats.replicas !== undefined) result.observe(stats.replicas.behind);
    },
  );
  gauge(
    'dead_letters_waiting',
    'Dead letters in their stream, which nobody has replayed or purged',
    (result) => {
      if (stats.deadLettersWaiting !== undefined) result.observe(stats.deadLettersWaiting.messages);
    },
  );
  gauge(
    'stream_oldest_age_seconds',
    'Age of the oldest message in the stream; 0 if there is none',
    (result) => {
      if (stats.stream !== undefined) result.observe(stats.stream.ageMs / 1000);
    },
  );
  observeParked(stats);
  gauge('database_connected', '1 while PostgreSQL takes what flushes write', (result) =>
    result.observe(stats.databaseProblem === undefined ? 1 : 0),
  );
  gauge('database_table_rows', 'Rows of a table, by the estimate of the server', (result) => {
    for (const { table, rows } of stats.tables) result.observe(rows, { table });
  });
  gauge('database_table_bytes', 'Size of a table with its indexes', (result) => {
    for (const { table, bytes } of stats.tables) result.observe(bytes, { table });
  });
}

function observeParked(stats: Stats): void {
  const parked = (name: string, description: string, read: (parked: ParkedState) => number) =>
    gauge(name, description, (result) => {
      if (stats.parked !== undefined) result.observe(read(stats.parked));
    });
  parked(
    'parked_messages',
    `Messages of a newer version that are not counted, at most ${PARKED_SEEN_MAX}`,
    ({ messages }) => messages,
  );
  parked('parked_bytes', 'What they take on the disk of PostgreSQL, about', ({ bytes }) => bytes);
  parked('parking_full', '1 if there is no room for more of them', ({ isFull }) =>
    isFull ? 1 : 0,
  );
}
