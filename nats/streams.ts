import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  RetentionPolicy,
  StorageType,
  type ConsumerConfig,
  type StreamConfig,
  type StreamInfo,
} from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';

/**
 * The name of the mesh's stream, from which its subjects and the stream of dead letters have theirs. A process
 * belongs to one mesh, so it is read here once; the schema of the settings refuses a wrong one.
 */
export const INCREMENTS = process.env['STREAM_NAME'] || 'INCREMENTS';
export const INCREMENTS_DEAD = `${INCREMENTS}_DEAD`;
/** The stream's metadata name with this the database that counts it. */
export const COUNTED_BY = 'counted_by';
/** Metadata of a stream: when it was made. */
export const INCARNATION = 'incarnation';
/** The one durable consumer, which all counter services share. */
export const COUNTER = 'counter';

/** `increments.`, of which all subjects of the stream are. */
export const SUBJECTS_PREFIX = `${INCREMENTS.toLowerCase()}.`;
/** Where gateways publish; another source uses `increments.<source>`. */
export const HTTP_SUBJECT = `${SUBJECTS_PREFIX}http`;
/** Where repaired dead letters are published again. */
export const REPLAY_SUBJECT = `${SUBJECTS_PREFIX}replay`;
/** Core NATS, outside the streams: what services tell each other. */
export const MESH_SUBJECT =
  INCREMENTS === 'INCREMENTS' ? 'mesh' : `mesh.${INCREMENTS.toLowerCase()}`;
/** Not below `increments.`, which would overlap with the work queue. */
export const DEAD_SUBJECT_PREFIX = 'dead.';

const MEBIBYTE = 1024 * 1024;
const DAY_MS = 24 * 60 * 60 * 1000;

/** What the stream holds at most, unless it is set. */
export const STREAM_BYTES_MAX = 4096 * MEBIBYTE;
/** Room for the dead letters of any batch. */
const DEAD_LETTERS_BYTES_MIN = 16 * MEBIBYTE;

/**
 * A counter service flushes every FLUSH_INTERVAL_MS; a message that is not acked this long after that is
 * delivered again.
 */
export const ACK_WAIT_MARGIN_MS = 3_000;

/**
 * Ten seconds of 10 000 messages/s, far more than one broker syncs; about 25 MB of server memory. The
 * default of 1000 would stop a consumer that holds its acks for nine seconds.
 */
export const ACK_PENDING_MAX = 100_000;

export interface StreamOptions {
  /** 1 on a single server, 3 in a cluster; if absent, an existing stream keeps its number. */
  replicas?: number;
  flushIntervalMs: number;
  /**
   * The size at which `increments` refuses more: less than the disk has, since a full disk makes it
   * unusable.
   */
  streamBytesMax?: number;
}

/**
 * The work queue: a gateway stores a message here before its 200, and counter services remove it once
 * committed.
 */
export function incrementsStream({ replicas, streamBytesMax = STREAM_BYTES_MAX }: StreamOptions) {
  return {
    name: INCREMENTS,
    description: 'Accepted increments that are not yet committed to PostgreSQL',
    subjects: [`${SUBJECTS_PREFIX}>`],
    retention: RetentionPolicy.Workqueue,
    storage: StorageType.File,
    // Full means that a publish fails and the client gets a 503; the oldest is never dropped.
    discard: DiscardPolicy.New,
    max_bytes: streamBytesMax,
    max_msgs: -1,
    max_age: 0,
    duplicate_window: nanos(2 * 60_000),
    deny_delete: true,
    // For `nats stream view`, which can page through a work queue in no other way.
    allow_direct: true,
    ...(replicas !== undefined && { num_replicas: replicas }),
    metadata: { project: 'increment-mesh' },
  } satisfies Partial<StreamConfig> & { name: string };
}

/** What counter services could not accept, kept for people to inspect, repair and replay. */
export function deadLettersStream({ replicas, streamBytesMax = STREAM_BYTES_MAX }: StreamOptions) {
  return {
    name: INCREMENTS_DEAD,
    description: 'Messages and increments that could not be counted, with the reason in a header',
    subjects: [`${DEAD_SUBJECT_PREFIX}${SUBJECTS_PREFIX}>`],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.Old,
    max_bytes: deadLettersBytesMax(streamBytesMax),
    max_age: nanos(30 * DAY_MS),
    // As long as the messages are kept, so that none is ever stored twice.
    duplicate_window: nanos(30 * DAY_MS),
    allow_direct: true,
    ...(replicas !== undefined && { num_replicas: replicas }),
    metadata: { project: 'increment-mesh' },
  } satisfies Partial<StreamConfig> & { name: string };
}

/** A quarter of the stream's. */
export function deadLettersBytesMax(streamBytesMax: number): number {
  return Math.max(DEAD_LETTERS_BYTES_MIN, Math.floor(streamBytesMax / 4));
}

export function counterConsumer({ flushIntervalMs }: StreamOptions) {
  return {
    durable_name: COUNTER,
    description: 'Shared by all counter services; a message is acknowledged once it is committed',
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

/**
 * When a stream was made, in milliseconds since 1970, by which it is told from another one of its name.
 * Provisioning keeps it in the metadata: nats-server 2.14 forgets the time of creation when a stream is
 * updated after a restart, and shows another one from the next restart on.
 */
export function incarnationOf({ config, created }: Pick<StreamInfo, 'config' | 'created'>): number {
  const kept = Number(config.metadata?.[INCARNATION]);
  return Number.isSafeInteger(kept) ? kept : Date.parse(created);
}
