import { SECONDS_BUCKETS } from '../../telemetry/conventions.ts';
import { PARKED_BYTES_MAX, type ParkedState } from '../../schema/database/parked-state.ts';
import { createCountedHistogram } from '../../telemetry/counted-histogram.ts';
import { createRollingMaximum } from '../../telemetry/rolling-maximum.ts';
import type { ConsumerStop, SettingFault } from '../../nats/settings.ts';
import type { DatabaseTrouble } from '../../schema/database/database-trouble.ts';
import type { DeadLetterReason } from '../../schema/message/envelope.ts';
import type { FlushTimes } from '../flush/flush-times.ts';
import type { FlushResult, FlushStep } from '../flush/flush.ts';
import type { ReplicaStats } from '../maintenance/judge-replicas.ts';
import type { DeadLettersWaiting } from '../maintenance/read-dead-letters.ts';
import type { TableSize } from '../maintenance/table-sizes.ts';
import type { StreamReading } from '../settle/stream-state.ts';
import { operation } from './operation.ts';
import {
  createRecentActivity,
  type RecentActivity,
  type StreamSize,
  type StreamStats,
} from './recent-activity.ts';

/**
 * What a counter service has done since its start, and what it read last, in plain numbers. Metrics,
 * heartbeats and discovery read them.
 */
export interface Stats extends Recorders {
  readonly messagesConsumed: number;
  readonly messagesRedelivered: number;
  readonly messagesCommitted: number;
  readonly messagesNakked: number;
  readonly incrementsCommitted: number;
  readonly rowsCommitted: number;
  readonly alreadyApplied: number;
  readonly flushesFailed: number;
  readonly lastFlushMs: number;
  readonly flushingMs: number;
  readonly deadLetters: Readonly<Record<DeadLetterReason, number>>;
  /** Of the last minute. */
  readonly worstStalenessMs: () => number;
  readonly worstSkewMs: () => number;
  readonly stream: StreamStats | undefined;
  /** Undefined before they were read, and where the broker does not let this counter service read them. */
  readonly deadLettersWaiting: DeadLettersWaiting | undefined;
  readonly replicas: ReplicaStats | undefined;
  readonly tables: readonly TableSize[];
  /** Messages of a newer version that this counter service has parked. */
  readonly messagesParked: number;
  /** What is parked now, by any counter service; undefined before it was read. */
  readonly parked: ParkedState | undefined;
  /** Sum of the counters minus what the messages added; anything but 0 is an error. */
  readonly auditDifference: number | undefined;
  /** Ever, by the ledger; undefined before it was read. */
  incrementsCounted: bigint | undefined;
  readonly activity: RecentActivity;
  /** Settings of stream and consumer that break a promise. */
  readonly settingFaults: readonly SettingFault[];
  /** How far this machine's clock is ahead of the broker's, in milliseconds. */
  clockAheadMs: number;
  /** What keeps flushes from PostgreSQL; undefined while nothing does. */
  databaseProblem: DatabaseTrouble | undefined;
  /** Why nothing is counted: stream and database disagree, or the consumer delivers nothing. */
  disagreement: string | undefined;
  consumerStop: ConsumerStop | undefined;
  /** Why gateways on this database must not accept increments; undefined if they may. */
  risk: { text: string; database: string } | undefined;
}

interface Recorders {
  received: (isRedelivered: boolean) => void;
  /** @param skewMs the time from the making of a message to its storage, each by its own clock. */
  skewSeen: (skewMs: number) => void;
  flushed: (result: FlushResult, times: FlushTimes) => void;
  /** A batch went back to the broker after all its retries. */
  flushFailed: () => void;
  nakked: (messages: number) => void;
  /** The broker has removed settled messages. */
  purged: (durationMs: number) => void;
  streamSeen: (stream: StreamReading, size: StreamSize) => void;
  tablesSeen: (tables: TableSize[]) => void;
  parkedSeen: (parked: ParkedState) => void;
  audited: (difference: number) => void;
  settingsSeen: (faults: SettingFault[]) => void;
  replicasSeen: (replicas: ReplicaStats) => void;
  deadLettersSeen: (waiting: DeadLettersWaiting | undefined) => void;
}

/** Narrow around the limit of ten seconds. */
const STALENESS_BUCKETS = [
  1, 2, 4, 6, 8, 8.5, 9, 9.25, 9.5, 9.75, 10, 11, 12, 13, 15, 20, 30, 60, 300,
];

/** Each reason has a series from the start: to see the first dead letter, a rate needs a sample of 0. */
const NO_DEAD_LETTERS: Record<DeadLetterReason, number> = {
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
const NO_TABLES: readonly TableSize[] = [];
const NO_FAULTS: readonly SettingFault[] = [];

export function createStats(): Stats {
  const record = createHistograms();
  const worstStaleness = createRollingMaximum();
  const worstSkew = createRollingMaximum();
  const deadLetters = { ...NO_DEAD_LETTERS };
  const activity = createRecentActivity();

  const stats = {
    messagesConsumed: 0,
    messagesRedelivered: 0,
    messagesCommitted: 0,
    messagesNakked: 0,
    incrementsCommitted: 0,
    rowsCommitted: 0,
    alreadyApplied: 0,
    flushesFailed: 0,
    lastFlushMs: 0,
    flushingMs: 0,
    deadLetters,
    worstStalenessMs: worstStaleness.read,
    worstSkewMs: worstSkew.read,
    stream: undefined as Stats['stream'],
    deadLettersWaiting: undefined as Stats['deadLettersWaiting'],
    replicas: undefined as Stats['replicas'],
    tables: NO_TABLES,
    messagesParked: 0,
    parked: undefined as Stats['parked'],
    auditDifference: undefined as number | undefined,
    incrementsCounted: undefined as bigint | undefined,
    activity,
    settingFaults: NO_FAULTS,
    clockAheadMs: 0,
    databaseProblem: undefined as Stats['databaseProblem'],
    disagreement: undefined as string | undefined,
    consumerStop: undefined as Stats['consumerStop'],
    risk: undefined as Stats['risk'],

    received: (isRedelivered: boolean): void => {
      stats.messagesConsumed++;
      if (isRedelivered) stats.messagesRedelivered++;
    },
    skewSeen: worstSkew.add,
    flushed: (result: FlushResult, times: FlushTimes): void => {
      stats.messagesCommitted += result.messages;
      stats.incrementsCommitted += result.increments;
      stats.rowsCommitted += result.keys;
      stats.alreadyApplied += result.alreadyApplied;
      stats.messagesParked += result.parked;
      if (result.parkedBytes !== undefined && stats.parked !== undefined) {
        const isFull = result.parkedBytes >= PARKED_BYTES_MAX;
        stats.parked = { ...stats.parked, bytes: result.parkedBytes, isFull };
      }
      stats.lastFlushMs = times.durationMs;
      stats.flushingMs += times.durationMs;
      for (const [reason, count] of Object.entries(result.reasons)) {
        deadLetters[reason as DeadLetterReason] += count;
      }
      if (Number.isFinite(times.stalenessMs)) worstStaleness.add(times.stalenessMs);
      activity.flushed(result, times);
      record.flushed(result, times);
    },
    flushFailed: (): void => {
      stats.flushesFailed++;
    },
    nakked: (messages: number): void => {
      stats.messagesNakked += messages;
    },
    purged: record.purged,
    streamSeen: (reading: StreamReading, size: StreamSize): void => {
      const { messages, lastSequence, unsettledSinceMs, brokerMs } = reading;
      const ageMs = messages === 0 ? 0 : Math.max(0, brokerMs - unsettledSinceMs);
      stats.stream = { messages, ageMs, lastSequence, ...size };
      activity.streamSeen(stats.stream);
    },
    tablesSeen: (tables: TableSize[]): void => {
      stats.tables = tables;
    },
    parkedSeen: (parked: ParkedState): void => {
      stats.parked = parked;
    },
    audited: (difference: number): void => {
      stats.auditDifference = difference;
    },
    settingsSeen: (faults: SettingFault[]): void => {
      stats.settingFaults = faults;
    },
    replicasSeen: (replicas: ReplicaStats): void => {
      stats.replicas = replicas;
    },
    deadLettersSeen: (waiting: DeadLettersWaiting | undefined): void => {
      stats.deadLettersWaiting = waiting;
      activity.deadLettersSeen(waiting);
    },
  };
  return stats;
}

function createHistograms(): Pick<Recorders, 'flushed' | 'purged'> {
  const duration = createCountedHistogram({
    name: 'messaging.process.duration',
    description: 'From the start of a flush to its commit, retries included',
    boundaries: SECONDS_BUCKETS,
  })(operation('process'));
  const settling = createCountedHistogram({
    name: 'messaging.client.operation.duration',
    description: 'Duration of a purge, which settles all proven messages',
    boundaries: SECONDS_BUCKETS,
  })(operation('settle'));
  const staleness = createCountedHistogram({
    name: 'increments_staleness_seconds',
    description: 'Age of the oldest increment of a flush at its commit',
    unit: '',
    boundaries: STALENESS_BUCKETS,
  })({});
  const stepSeries = createCountedHistogram({
    name: 'counter_flush_step_duration_seconds',
    description: 'Duration of each step of the flush that succeeded',
    unit: '',
    boundaries: SECONDS_BUCKETS,
  });
  const steps = {
    begin: stepSeries({ step: 'begin' }),
    deduplicate: stepSeries({ step: 'deduplicate' }),
    keys: stepSeries({ step: 'keys' }),
    upsert: stepSeries({ step: 'upsert' }),
    'dead-letters': stepSeries({ step: 'dead-letters' }),
    commit: stepSeries({ step: 'commit' }),
  } satisfies Record<FlushStep, unknown>;

  return {
    flushed: (result, { durationMs, stalenessMs }) => {
      duration(durationMs / 1000);
      for (const [step, ms] of Object.entries(result.stepsMs)) steps[step as FlushStep](ms / 1000);
      if (Number.isFinite(stalenessMs)) staleness(stalenessMs / 1000);
    },
    purged: (durationMs) => settling(durationMs / 1000),
  };
}
