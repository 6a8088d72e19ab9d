import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  RetentionPolicy,
  StorageType,
  type ConsumerConfig,
  type StreamConfig,
} from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';

export const INCREMENTS = 'INCREMENTS';
export const INCREMENTS_DEAD = 'INCREMENTS_DEAD';
/** The one durable consumer that all counters share. */
export const COUNTER = 'counter';

/** Where a gateway publishes; another source takes `increments.<source>`. */
export const HTTP_SUBJECT = 'increments.http';
/** Where dead letters are sent again. */
export const REPLAY_SUBJECT = 'increments.replay';
/** Not below `increments.`, which would overlap with the work queue. */
export const DEAD_SUBJECT_PREFIX = 'dead.';

const MEBIBYTE = 1024 * 1024;
const DAY_MS = 24 * 60 * 60 * 1000;

/** A counter flushes every FLUSH_INTERVAL_MS; what it does not ack within this more comes again. */
export const ACK_WAIT_MARGIN_MS = 3_000;

/**
 * Ten seconds of 10 000 messages/s, far above what one broker syncs; about 25 MB of server memory.
 * The default of 1000 would stop a consumer whose acks are held for nine seconds.
 */
const ACK_PENDING_MAX = 100_000;

export interface StreamOptions {
  /** 1 on a single server, 3 in a cluster; left out, an existing stream keeps what it has. */
  replicas?: number;
  flushIntervalMs: number;
  /** The size at which `increments` refuses more: kept below the disk, since a full disk kills it. */
  streamBytesMax?: number;
}

/** The work queue: what a gateway stores here before its 200, and counters remove once committed. */
export function incrementsStream({ replicas, streamBytesMax }: StreamOptions) {
  return {
    name: INCREMENTS,
    description: 'Accepted increments that are not yet committed to PostgreSQL',
    subjects: ['increments.>'],
    retention: RetentionPolicy.Workqueue,
    storage: StorageType.File,
    // Full means that a publish fails and the client gets a 503; the oldest is never dropped.
    discard: DiscardPolicy.New,
    max_bytes: streamBytesMax ?? 4096 * MEBIBYTE,
    max_msgs: -1,
    max_age: 0,
    duplicate_window: nanos(2 * 60_000),
    deny_delete: true,
    ...(replicas !== undefined && { num_replicas: replicas }),
    metadata: { project: 'increment-mesh' },
  } satisfies Partial<StreamConfig> & { name: string };
}

/** What counters could not accept, kept for people to look at, repair and replay. */
export function deadLettersStream({ replicas }: StreamOptions) {
  return {
    name: INCREMENTS_DEAD,
    description: 'Messages and increments that could not be counted, with the reason in a header',
    subjects: [`${DEAD_SUBJECT_PREFIX}increments.>`],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.Old,
    max_bytes: 1024 * MEBIBYTE,
    max_age: nanos(30 * DAY_MS),
    // As long as the messages themselves, so that none is ever stored twice.
    duplicate_window: nanos(30 * DAY_MS),
    ...(replicas !== undefined && { num_replicas: replicas }),
    metadata: { project: 'increment-mesh' },
  } satisfies Partial<StreamConfig> & { name: string };
}

export function counterConsumer({ flushIntervalMs }: StreamOptions) {
  return {
    durable_name: COUNTER,
    description: 'Shared by all counters; a message is acknowledged once it is committed',
    ack_policy: AckPolicy.Explicit,
    deliver_policy: DeliverPolicy.All,
    ack_wait: nanos(ackWaitMs(flushIntervalMs)),
    // No limit: a long outage of the database must not orphan healthy messages.
    max_deliver: -1,
    max_ack_pending: ACK_PENDING_MAX,
    metadata: { project: 'increment-mesh' },
  } satisfies Partial<ConsumerConfig>;
}

export function ackWaitMs(flushIntervalMs: number): number {
  return flushIntervalMs + ACK_WAIT_MARGIN_MS;
}
