import type {
  DeadLetterReason,
  Envelope,
  RejectedIncrement,
} from '../../schema/message/envelope.ts';
import type { Exact } from '../../schema/int64.ts';
import type { Tally } from './tally.ts';

/** A message that a counter service holds: not acknowledged, and not known to be in the database. */
export interface HeldMessage {
  sequence: number;
  /** The envelope's id; empty if the message is refused as a whole. */
  id: string;
  /** Where its acknowledgement goes; replaced when the message is delivered again. */
  reply: string;
  storedAtMs: number;
  /** When the stream stored it, as a time of performance.now(), which no change of a clock affects. */
  enteredAt: number;
  /** When its ack_wait began: at the delivery or the last extension. */
  ackWaitFrom: number;
  digest: string;
  increments: number;
  total: Exact;
  /** The W3C trace context of its publisher. */
  traceparent?: string;
  /** Absent if the message is in the tally already. */
  body?: HeldBody;
  /** Of a message that was parked: the stream time at which it is taken out. */
  unparkedAtMs?: number;
}

/** What is kept of a message that joins the tally only after the ledger was queried. */
export interface HeldBody {
  subject: string;
  text: string;
  envelope: Envelope | undefined;
  rejected: RejectedIncrement[];
  /** Why nothing of it can be counted. */
  refusal?: DeadLetterReason;
  /** SQLSTATE and message, if it was the database that refused it. */
  error?: string;
  /** Of a message of a newer version, which is parked. */
  newer?: { version: number; payload: Uint8Array };
}

/** What one flush takes: the messages of a few seconds and the sums of those without a body. */
export interface FlushBatch {
  messages: Map<number, HeldMessage>;
  ids: Set<string>;
  tally: Tally;
  /** Of the kept bodies. */
  bodyBytes: number;
  /** Of the messages with bodies; each may have an idempotency key of its own. */
  bodyIncrements: number;
  /** How many messages are of a newer version. */
  newer: number;
  /** A time of performance.now(); Infinity if nothing is held. */
  oldestEnteredAt: number;
}

export function createFlushBatch(): FlushBatch {
  return {
    messages: new Map(),
    ids: new Set(),
    tally: new Map(),
    bodyBytes: 0,
    bodyIncrements: 0,
    newer: 0,
    oldestEnteredAt: Infinity,
  };
}

export function addToBatch(batch: FlushBatch, message: HeldMessage): void {
  batch.messages.set(message.sequence, message);
  if (message.id !== '') batch.ids.add(message.id);
  if (message.body !== undefined) {
    batch.bodyIncrements += message.increments;
    batch.bodyBytes += message.body.text.length + (message.body.newer?.payload.length ?? 0);
  }
  if (message.body?.newer !== undefined) batch.newer++;
  batch.oldestEnteredAt = Math.min(batch.oldestEnteredAt, message.enteredAt);
}

/** How many rows a flush of it writes at most, about. */
export function rowsOf({ messages, tally, bodyIncrements }: FlushBatch): number {
  return messages.size + tally.size + bodyIncrements;
}

/** Splits a batch into tallied messages, whose sums can't be separated, and those with bodies. */
export function splitByTally(batch: FlushBatch): { tallied: FlushBatch; withBodies: FlushBatch } {
  const tallied: FlushBatch = { ...createFlushBatch(), tally: batch.tally };
  const kept = createFlushBatch();
  for (const message of batch.messages.values()) {
    addToBatch(message.body === undefined ? tallied : kept, message);
  }
  return { tallied, withBodies: kept };
}

/** Splits a batch of messages with bodies into parts of so many increments, or of one message. */
export function splitByIncrements(batch: FlushBatch, incrementsMax: number): FlushBatch[] {
  const parts: FlushBatch[] = [];
  let room = 0;
  for (const message of batch.messages.values()) {
    if (parts.length === 0 || message.increments > room) {
      parts.push(createFlushBatch());
      room = incrementsMax;
    }
    addToBatch(parts.at(-1)!, message);
    room -= message.increments;
  }
  return parts;
}

/** Halves a batch of messages with bodies, to find the one that the database refuses. */
export function bisect(batch: FlushBatch): [FlushBatch, FlushBatch] {
  const halves: [FlushBatch, FlushBatch] = [createFlushBatch(), createFlushBatch()];
  let taken = 0;
  for (const message of batch.messages.values()) {
    addToBatch(taken++ < batch.messages.size / 2 ? halves[0] : halves[1], message);
  }
  return halves;
}
