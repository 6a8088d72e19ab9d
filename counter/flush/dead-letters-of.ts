import type { DeadLetterReason } from '../../schema/message/envelope.ts';
import type { HeldMessage } from '../consume/flush-batch.ts';
import type { JudgedMessage } from './claim-keys.ts';
import type { DeadLetter } from './write-dead-letters.ts';

/**
 * The increments of a message that can't be counted: one dead letter for each reason, and each SQLSTATE, with the
 * increment or an array of them. So a message has few dead letters, together no larger than itself.
 */
export function deadLettersOfParts(
  { message, reused, refused }: JudgedMessage,
  incarnation: number,
): DeadLetter[] {
  const whole = deadLetterOf(message, incarnation);
  const parts: { reason: DeadLetterReason; text: string; error?: string }[] = [
    ...(message.body?.rejected ?? []),
    ...reused.map((text) => ({ reason: 'idempotency-key-reused' as const, text })),
    ...refused.map((part) => ({ reason: 'refused-by-database' as const, ...part })),
  ];
  // Messages of one SQLSTATE may name the row, so the first stands for all.
  const kindOf = ({ reason, error }: (typeof parts)[number]) =>
    error === undefined ? reason : `${reason}-${error.split(' ', 1)[0]}`;
  return [...Map.groupBy(parts, kindOf)].map(([kind, alike]) => ({
    ...whole,
    id: `${whole.id}-${kind}`,
    reason: alike[0]!.reason,
    payload: arrayOrOne(alike.map(({ text }) => text)),
    error: alike[0]!.error,
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
    error: message.body?.error,
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
