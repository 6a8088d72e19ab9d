import type { DeadLetterReason } from '../../schema/message/envelope.ts';
import type { HeldMessage } from '../consume/flush-batch.ts';
import type { JudgedMessage } from './claim-keys.ts';
import type { DeadLetter } from './write-dead-letters.ts';

/**
 * The increments of a message that can't be counted: one dead letter for each reason, with the increment or
 * an array of them. So a message has few dead letters, together no larger than itself.
 */
export function deadLettersOfParts(
  { message, reused }: JudgedMessage,
  incarnation: number,
): DeadLetter[] {
  const whole = deadLetterOf(message, incarnation);
  const parts: { reason: DeadLetterReason; text: string }[] = [
    ...(message.body?.rejected ?? []),
    ...reused.map((text) => ({ reason: 'idempotency-key-reused' as const, text })),
  ];
  return [...Map.groupBy(parts, ({ reason }) => reason)].map(([reason, alike]) => ({
    ...whole,
    id: `${whole.id}-${reason}`,
    reason,
    payload: arrayOrOne(alike.map(({ text }) => text)),
  }));
}

/** A whole message that can't be counted. */
export function deadLetterOf(
  message: HeldMessage,
  incarnation: number,
  reason: DeadLetterReason = message.body?.refusal ?? 'wrong-shape',
): DeadLetter {
  return {
    id: `${incarnation}-${message.sequence}`,
    reason,
    // NATS allows a NUL character in a subject, PostgreSQL does not in text.
    subject: message.body?.subject.replaceAll('\0', '\uFFFD') ?? '',
    sequence: message.sequence,
    storedAtMs: message.storedAtMs,
    payload: message.body?.text ?? '',
  };
}

export function countReasons(deadLetters: DeadLetter[]): Partial<Record<DeadLetterReason, number>> {
  const counts: Partial<Record<DeadLetterReason, number>> = {};
  for (const { reason } of deadLetters) counts[reason] = (counts[reason] ?? 0) + 1;
  return counts;
}

function arrayOrOne(items: string[]): string {
  return items.length === 1 ? String(items[0]) : `[${items.join(',')}]`;
}
