import type { DeadLetterReason } from '../schema/envelope.ts';
import { stringifyExactJson } from '../schema/int64.ts';
import type { DeadLetter } from './dead-letters.ts';
import type { Judged } from './fence-keys.ts';
import type { HeldMessage } from './load.ts';

/** The parts of a message that can't be counted, each with a letter of its own. */
export function lettersOf({ message, reused }: Judged, incarnation: number): DeadLetter[] {
  const whole = letterOf(message, incarnation);
  const part = (index: number | string, reason: DeadLetterReason, item: unknown): DeadLetter => ({
    ...whole,
    id: `${whole.id}-${index}`,
    reason,
    payload: stringifyExactJson(item),
  });
  return [
    ...(message.body?.rejected ?? []).map(({ index, reason, item }) => part(index, reason, item)),
    ...reused.map(({ index, item }) => part(`key-${index}`, 'idempotency-key-reused', item)),
  ];
}

/** A whole message that can't be counted. */
export function letterOf(message: HeldMessage, incarnation: number): DeadLetter {
  return {
    id: `${incarnation}-${message.sequence}`,
    reason: message.body?.refusal ?? 'wrong-shape',
    subject: message.body?.subject ?? '',
    sequence: message.sequence,
    storedAtMs: message.storedAtMs,
    payload: message.body?.text ?? '',
  };
}

export function countReasons(letters: DeadLetter[]): Partial<Record<DeadLetterReason, number>> {
  const counts: Partial<Record<DeadLetterReason, number>> = {};
  for (const { reason } of letters) counts[reason] = (counts[reason] ?? 0) + 1;
  return counts;
}
