import type {
  DeadLetterReason,
  Envelope,
  RejectedIncrement,
} from '../../schema/message/envelope.ts';
import type { Exact } from '../../schema/int64.ts';
import type { Tally } from './tally.ts';

/** A message that a counter holds: not acknowledged, and not yet proven to be in the database. */
export interface HeldMessage {
  sequence: number;
  /** The envelope's id; empty where the message is refused as a whole. */
  id: string;
  /** Where its acknowledgement goes; a later delivery of the same message replaces it. */
  reply: string;
  storedAtMs: number;
  /** When the increment became old, as a time of performance.now() that no clock can move. */
  bornAt: number;
  /** When its ack_wait began: at the delivery or the last sign of work. */
  ackWaitFrom: number;
  digest: string;
  increments: number;
  total: Exact;
  /** The W3C trace context that it came with. */
  traceparent?: string;
  /** Absent where the message is in the tally already. */
  body?: HeldBody;
}

/** What is kept of a message that joins the tally only after the ledger has answered. */
export interface HeldBody {
  subject: string;
  text: string;
  envelope: Envelope | undefined;
  rejected: RejectedIncrement[];
  /** Why none of it can be counted. */
  refusal?: DeadLetterReason;
}

/** What one flush takes: the messages of a few seconds and the sums of those without a body. */
export interface FlushBatch {
  messages: Map<number, HeldMessage>;
  ids: Set<string>;
  tally: Tally;
  /** Of the bodies that are kept. */
  bodyBytes: number;
  /** A time of performance.now(); Infinity where nothing is held. */
  oldestBornAt: number;
}

export function createFlushBatch(): FlushBatch {
  return {
    messages: new Map(),
    ids: new Set(),
    tally: new Map(),
    bodyBytes: 0,
    oldestBornAt: Infinity,
  };
}

export function addToBatch(batch: FlushBatch, message: HeldMessage): void {
  batch.messages.set(message.sequence, message);
  if (message.id !== '') batch.ids.add(message.id);
  if (message.body !== undefined) batch.bodyBytes += message.body.text.length;
  batch.oldestBornAt = Math.min(batch.oldestBornAt, message.bornAt);
}

/** Splits a batch into what its tally holds, which can't be taken apart, and what kept its bodies. */
export function splitByTally(batch: FlushBatch): { tallied: FlushBatch; kept: FlushBatch } {
  const tallied: FlushBatch = { ...createFlushBatch(), tally: batch.tally };
  const kept = createFlushBatch();
  for (const message of batch.messages.values()) {
    addToBatch(message.body === undefined ? tallied : kept, message);
  }
  return { tallied, kept };
}

/** Splits a batch whose messages all kept their bodies, to find the one that the database refuses. */
export function bisect(batch: FlushBatch): [FlushBatch, FlushBatch] {
  const halves: [FlushBatch, FlushBatch] = [createFlushBatch(), createFlushBatch()];
  let taken = 0;
  for (const message of batch.messages.values()) {
    addToBatch(taken++ < batch.messages.size / 2 ? halves[0] : halves[1], message);
  }
  return halves;
}
