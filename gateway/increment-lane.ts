import { randomUUIDv7 } from 'node:crypto';
import { encodeEnvelope, encodeIncrement, PACK_INCREMENTS_MAX } from '../schema/envelope.ts';
import type { Increment } from '../schema/increment.ts';
import type { Publisher } from '../nats/publisher.ts';
import { HTTP_SUBJECT } from '../nats/topology.ts';
import { createLane, type LaneOptions, type Receipt } from './group-commit.ts';

/** The bytes of an envelope around its increments, and of the commas that the lane counts. */
const WAITING_BYTES_PER_INCREMENT = 1_024;

export interface IncrementLane {
  readonly waiting: number;
  /** Resolves when the increment is on the broker's disk. @throws NotAccepted */
  commit: (increment: Increment) => Promise<Receipt>;
  drain: () => Promise<void>;
}

export interface IncrementLaneOptions {
  publisher: Publisher;
  deadlineMs: number;
  waitingMax: number;
  onPublished: LaneOptions<string>['onPublished'];
}

/** The lane of single increments: many requests share a message. */
export function createIncrementLane(options: IncrementLaneOptions): IncrementLane {
  const lane = createLane<string>({
    publisher: options.publisher,
    subject: HTTP_SUBJECT,
    packMax: PACK_INCREMENTS_MAX,
    inFlightMax: 2,
    waitingMax: options.waitingMax,
    waitingBytesMax: options.waitingMax * WAITING_BYTES_PER_INCREMENT,
    deadlineMs: options.deadlineMs,
    makeId: randomUUIDv7,
    encode: encodeEnvelope,
    ...(options.onPublished && { onPublished: options.onPublished }),
  });
  return {
    get waiting() {
      return lane.waiting;
    },
    commit: (increment) => {
      const encoded = encodeIncrement(increment);
      // Validation leaves only ASCII, so characters are bytes.
      return lane.submit(encoded, encoded.length);
    },
    drain: lane.drain,
  };
}
