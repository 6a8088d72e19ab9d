/*
 * How a delivery joins a batch.
 *
 * A message is kept in one of two ways. Tallied: its increments are added to the tally, and only its
 * metadata is kept. With its body: it joins the tally once the ledger has shown that it is new. The body is
 * kept if the message may have been counted before (delivered again, or stored before the last
 * reconnection: after a crash the broker marks such copies as first deliveries), if an idempotency key
 * decides, or if a part of it can't be counted.
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
  /** Called with the time from the making of a message to its storage, each by its own clock. */
  onSkew?: (skewMs: number) => void;
  /** Whether the batch that is being flushed has a message with this id. */
  isBeingFlushed: (id: string) => boolean;
}

const decoder = new TextDecoder();

/**
 * Adds a delivery to a batch.
 *
 * @returns false for a message of a newer version, which is left to a newer counter service.
 */
export function acceptMessage(
  batch: FlushBatch,
  delivery: Delivery,
  options: AcceptOptions,
): boolean {
  const text = decoder.decode(delivery.data);
  const body = readBody(delivery, text, options.onSkew);
  if (body === undefined) return false;

  const message = createMessage(delivery, body);
  if (needsBody(batch, delivery, body, options)) {
    message.body = body;
  } else {
    for (const { key, value } of body.envelope?.increments ?? [])
      addToTally(batch.tally, key, value);
  }
  addToBatch(batch, message);
  return true;
}

function readBody(
  delivery: Delivery,
  text: string,
  onSkew: AcceptOptions['onSkew'],
): HeldBody | undefined {
  const { subject } = delivery;
  try {
    const { envelope, rejected } = decodeEnvelope(text);
    const body: HeldBody = { subject, text, envelope, rejected };
    const skewMs = delivery.storedAtMs - mintedAt(envelope.id);
    onSkew?.(skewMs);
    if (Math.abs(skewMs) > MINTED_SKEW_MS_MAX) body.refusal = 'late';
    return body;
  } catch (error) {
    if (error instanceof NewerEnvelope) return undefined;
    if (!(error instanceof UnacceptableEnvelope)) throw error;
    return { subject, text, envelope: undefined, rejected: [], refusal: error.reason };
  }
}

function createMessage(delivery: Delivery, body: HeldBody): HeldMessage {
  const now = performance.now();
  // Never negative, though the server's clock may be ahead.
  const age = Math.max(0, Date.now() - delivery.storedAtMs);
  const increments = body.refusal === undefined ? (body.envelope?.increments ?? []) : [];
  return {
    sequence: delivery.sequence,
    id: body.refusal === undefined ? (body.envelope?.id ?? '') : '',
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
  return batch.ids.has(envelope.id) || options.isBeingFlushed(envelope.id);
}
