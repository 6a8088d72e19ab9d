/*
 * How a delivery joins a batch.
 *
 * A message is kept in one of two ways. Tallied: its increments are added to the tally, and only its
 * metadata is kept. With its body: it joins the tally once the ledger has shown that it is new. The body is
 * kept if the message may have been counted before (delivered again, or stored before the last
 * reconnection: after a crash the broker marks such copies as first deliveries), if an idempotency key
 * decides, if a part of it can't be counted or the database has refused one of its keys before, or if it is of a newer version and is parked.
 */
import { performance } from 'node:perf_hooks';
import type { Delivery } from '../../nats/pull.ts';
import {
  decodeEnvelope,
  NewerEnvelope,
  UnacceptableEnvelope,
} from '../../schema/message/envelope.ts';
import { digest } from '../../schema/digest.ts';
import { mintedAt } from '../../schema/message/message-id.ts';
import { addToBatch, type HeldBody, type HeldMessage, type FlushBatch } from './flush-batch.ts';
import { addToTally, sumOf } from './tally.ts';

/**
 * A ledger row is kept for an hour of stream time. A message that is stored more than half an hour after
 * its id was made is never counted, so no copy outlives its row.
 */
export const MINTED_SKEW_MS_MAX = 30 * 60_000;

export interface AcceptOptions {
  /**
   * When the connection to the broker was last restored (since 1970). A message that was stored before may
   * have been delivered before.
   */
  reconnectedAtMs: number;
  /** Milliseconds since 1970 by the broker's clock; by this machine's without it. */
  brokerTimeMs?: () => number;
  /** Called with the time from the making of a message to its storage, each by its own clock. */
  onSkew?: (skewMs: number) => void;
  /** Whether the database has refused an increment of a key. */
  isSuspect?: (key: string) => boolean;
  /** Whether there is no room for messages of a newer version. */
  isParkingFull?: () => boolean;
  /** Whether the batch that is being flushed has a message with this id. */
  isBeingFlushed: (id: string) => boolean;
}

const decoder = new TextDecoder();

/**
 * Adds a delivery to a batch.
 *
 * @returns false for a message of a newer version if there is no room to park it; it is not held then.
 */
export function acceptMessage(
  batch: FlushBatch,
  delivery: Delivery,
  options: AcceptOptions,
): boolean {
  const { id, body } = readMessage(delivery, options.onSkew);
  if (body.newer !== undefined && options.isParkingFull?.() === true) return false;

  const message = createMessage(delivery, {
    id,
    body,
    brokerMs: (options.brokerTimeMs ?? Date.now)(),
  });
  if (needsBody(batch, delivery, body, options)) {
    message.body = body;
  } else {
    for (const { key, value } of body.envelope?.increments ?? [])
      addToTally(batch.tally, key, value);
  }
  addToBatch(batch, message);
  return true;
}

/** The id is empty if it has no row of the ledger to claim. */
function readMessage(
  delivery: Delivery,
  onSkew: AcceptOptions['onSkew'],
): { id: string; body: HeldBody } {
  const { subject } = delivery;
  const text = decoder.decode(delivery.data);
  try {
    const { envelope, rejected } = decodeEnvelope(text);
    const body: HeldBody = { subject, text, envelope, rejected };
    onSkew?.(skewOf(delivery, envelope.id));
    if (!isLate(delivery, envelope.id)) return { id: envelope.id, body };
    return { id: '', body: { ...body, refusal: 'late' } };
  } catch (error) {
    const body: HeldBody = { subject, text, envelope: undefined, rejected: [] };
    if (error instanceof NewerEnvelope) {
      // A copy, since the delivery's bytes are a part of a larger buffer.
      body.newer = { version: error.version, payload: Buffer.from(delivery.data) };
      // An id is claimed at once, so that no copy of the message is counted or parked beside it.
      const isNamed = error.id !== undefined && !isLate(delivery, error.id);
      return { id: isNamed ? (error.id ?? '') : '', body };
    }
    if (!(error instanceof UnacceptableEnvelope)) throw error;
    return { id: '', body: { ...body, refusal: error.reason } };
  }
}

function isLate(delivery: Delivery, id: string): boolean {
  return Math.abs(skewOf(delivery, id)) > MINTED_SKEW_MS_MAX;
}

function skewOf(delivery: Delivery, id: string): number {
  return delivery.storedAtMs - mintedAt(id);
}

function createMessage(
  delivery: Delivery,
  { id, body, brokerMs }: { id: string; body: HeldBody; brokerMs: number },
): HeldMessage {
  const now = performance.now();
  // Never negative, though the clocks of several brokers differ.
  const age = Math.max(0, brokerMs - delivery.storedAtMs);
  const increments = body.refusal === undefined ? (body.envelope?.increments ?? []) : [];
  return {
    sequence: delivery.sequence,
    id,
    reply: delivery.reply,
    storedAtMs: delivery.storedAtMs,
    enteredAt: now - age,
    ackWaitFrom: now,
    digest: digest(delivery.data),
    increments: increments.length,
    total: sumOf(increments),
    ...(delivery.traceparent !== undefined && { traceparent: delivery.traceparent }),
  };
}

function needsBody(
  batch: FlushBatch,
  delivery: Delivery,
  body: HeldBody,
  options: AcceptOptions,
): boolean {
  const { envelope } = body;
  if (envelope === undefined || body.refusal !== undefined || body.rejected.length > 0) return true;
  if (delivery.deliveryCount > 1 || delivery.storedAtMs < options.reconnectedAtMs) return true;
  if (envelope.idempotency_key !== undefined) return true;
  if (envelope.increments.some((increment) => increment.idempotency_key !== undefined)) return true;
  const { isSuspect } = options;
  if (isSuspect && envelope.increments.some(({ key }) => isSuspect(key))) return true;
  return batch.ids.has(envelope.id) || options.isBeingFlushed(envelope.id);
}
