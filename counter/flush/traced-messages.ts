import type { DeadLetterReason } from '../../schema/message/envelope.ts';
import type { HeldMessage } from '../consume/flush-batch.ts';
import type { DeadLetter } from './write-dead-letters.ts';

/** A settled message whose publisher has a trace. */
export interface TracedMessage {
  /** Its W3C trace context. */
  traceparent: string;
  /** Empty if the message is refused as a whole. */
  id: string;
  sequence: number;
  /** Why it, or a part of it, is a dead letter. */
  reasons: DeadLetterReason[];
}

/** Finds the messages that can be followed in traces, counted or not. */
export function findTraced(
  messages: Iterable<HeldMessage>,
  deadLetters: DeadLetter[],
): TracedMessage[] {
  const bySequence = Map.groupBy(deadLetters, ({ sequence }) => sequence);
  const traced: TracedMessage[] = [];
  for (const { traceparent, id, sequence } of messages) {
    if (traceparent === undefined) continue;
    const reasons = bySequence.get(sequence)?.map(({ reason }) => reason) ?? [];
    traced.push({ traceparent, id, sequence, reasons });
  }
  return traced;
}
