import type { JetStreamManager, MsgRequest } from '@nats-io/jetstream';
import { INCREMENTS_DEAD } from './streams.ts';

/** A dead letter as it is in the stream. */
export interface StoredDeadLetter {
  /** In INCREMENTS_DEAD: the number that commands take. */
  sequence: number;
  deadSince: string;
  reason: string;
  /** Where it was published, its sequence in INCREMENTS, and when it was stored there. */
  subject: string;
  originalSequence: number;
  storedAt: string;
  payload: string;
  /** SQLSTATE and message of the database's refusal; null for other reasons. */
  error: string | null;
  /** The payload's size in bytes where it was too large to keep whole. */
  truncatedFrom: number | null;
}

/** Up to `max` dead letters in order, from a sequence on. */
export async function readDeadLetters(
  manager: JetStreamManager,
  from: number,
  max: number,
): Promise<StoredDeadLetter[]> {
  const deadLetters: StoredDeadLetter[] = [];
  let sequence = from;
  while (deadLetters.length < max) {
    // The client's type lacks this request of the API.
    const next = { seq: sequence, next_by_subj: '>' } as MsgRequest;
    const deadLetter = await findDeadLetter(manager, next);
    if (deadLetter === undefined) break;
    deadLetters.push(deadLetter);
    sequence = deadLetter.sequence + 1;
  }
  return deadLetters;
}

/** The last `max` dead letters, in order, also where later ones were removed one by one. */
export async function readNewestDeadLetters(
  manager: JetStreamManager,
  { first_seq: first, last_seq: last }: { first_seq: number; last_seq: number },
  max: number,
): Promise<StoredDeadLetter[]> {
  let newest: StoredDeadLetter[] = [];
  for (let end = last + 1; end > first && newest.length < max; end -= max) {
    const part = await readDeadLetters(manager, Math.max(first, end - max), max);
    newest = [...part.filter(({ sequence }) => sequence < end), ...newest];
  }
  return newest.slice(-max);
}

/** Undefined where there is none. */
export async function findDeadLetter(
  manager: JetStreamManager,
  query: MsgRequest,
): Promise<StoredDeadLetter | undefined> {
  const stored = await manager.streams.getMessage(INCREMENTS_DEAD, query);
  if (stored === null) return undefined;
  const header = (name: string) => stored.header.get(`Dead-Letter-${name}`);
  return {
    sequence: stored.seq,
    deadSince: stored.time.toISOString(),
    reason: header('Reason'),
    subject: header('Subject'),
    originalSequence: Number(header('Sequence')),
    storedAt: header('Time'),
    payload: new TextDecoder().decode(stored.data),
    error: header('Error') || null,
    truncatedFrom: Number(header('Truncated-From')) || null,
  };
}

/** Control characters could move the cursor or recolour the terminal. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '·');
}
