import {
  encodeEnvelope,
  encodeIncrement,
  PACK_INCREMENTS_MAX,
} from '../../schema/message/envelope.ts';
import type { Increment } from '../../schema/increment.ts';
import type { Publisher } from '../../nats/publisher.ts';
import { HTTP_SUBJECT } from '../../nats/streams.ts';
import { createGroupCommit, type GroupCommitOptions, type Receipt } from './group-commit.ts';
import { tooLargeForBroker } from './not-accepted.ts';

/** The size of an increment with a long idempotency key. */
const WAITING_BYTES_PER_INCREMENT = 1_024;
/**
 * Increments that wait for a message that is on time share the next one: each message costs the broker an
 * fsync.
 */
const SINGLES_IN_FLIGHT = { inFlightMax: 2, lateMs: 5, holdTurns: 6 };
/** A batch shares its message with no other, so waiting for one would gain nothing. */
const BATCHES_IN_FLIGHT = { inFlightMax: 4, lateMs: 0, holdTurns: 0 };
/** Batches that may wait; each is up to a mebibyte. */
const WAITING_BATCHES_MAX = 64;
const WAITING_BATCH_BYTES_MAX = 32 * 1024 * 1024;

export interface PublishQueues {
  readonly waiting: number;
  /** Resolves when the increment is on the broker's disk. @throws NotAccepted */
  store: (increment: Increment) => Promise<Receipt>;
  /** The same for a batch, which is one message. */
  storeBatch: (batch: EncodedBatch) => Promise<Receipt>;
  drain: () => Promise<void>;
}

/** A batch as text: its increments without the brackets, and its own idempotency key. */
export interface EncodedBatch {
  increments: string;
  count: number;
  idempotencyKey?: string | undefined;
}

export interface PublishQueuesOptions {
  publisher: Publisher;
  deadlineMs: number;
  makeId: () => string;
  waitingMax: number;
  onPublished: GroupCommitOptions<string>['onPublished'];
  readOrigin?: GroupCommitOptions<string>['readOrigin'];
}

/** Two queues: single increments, of which many share a message, and batches, one message each. */
export function createPublishQueues(options: PublishQueuesOptions): PublishQueues {
  const shared = {
    publisher: options.publisher,
    subject: HTTP_SUBJECT,
    deadlineMs: options.deadlineMs,
    makeId: options.makeId,
    ...(options.onPublished && { onPublished: options.onPublished }),
    ...(options.readOrigin && { readOrigin: options.readOrigin }),
  };
  const singles = createGroupCommit<string>({
    ...shared,
    ...SINGLES_IN_FLIGHT,
    packMax: PACK_INCREMENTS_MAX,
    waitingMax: options.waitingMax,
    waitingBytesMax: options.waitingMax * WAITING_BYTES_PER_INCREMENT,
    encode: encodeEnvelope,
    count: () => 1,
  });
  const batches = createGroupCommit<EncodedBatch>({
    ...shared,
    ...BATCHES_IN_FLIGHT,
    packMax: 1,
    waitingMax: WAITING_BATCHES_MAX,
    waitingBytesMax: WAITING_BATCH_BYTES_MAX,
    encode: (id, packed) =>
      packed.map((batch) => encodeEnvelope(id, [batch.increments], batch.idempotencyKey)).join(''),
    count: ({ count }) => count,
  });
  return {
    get waiting() {
      return singles.waiting + batches.waiting;
    },
    store: (increment) => {
      const encoded = encodeIncrement(increment);
      // Validation leaves only ASCII, so characters are bytes.
      return singles.submit(encoded, encoded.length);
    },
    storeBatch: (batch) => {
      const bytes = batch.increments.length;
      const bytesMax = options.publisher.bodyBytesMax;
      return bytes > bytesMax
        ? Promise.reject(tooLargeForBroker(bytes, bytesMax))
        : batches.submit(batch, bytes);
    },
    drain: async () => {
      await Promise.all([singles.drain(), batches.drain()]);
    },
  };
}
