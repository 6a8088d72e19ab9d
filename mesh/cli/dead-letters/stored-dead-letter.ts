import type { JetStreamManager, MsgRequest } from '@nats-io/jetstream';
import { INCREMENTS_DEAD } from '../../../nats/streams.ts';
import { Refusal, UsageError } from '../errors.ts';

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

/** @throws Refusal where no dead letter has this number. */
export async function readDeadLetter(
  manager: JetStreamManager,
  sequence: number,
): Promise<StoredDeadLetter> {
  const deadLetter = await find(manager, { seq: sequence });
  if (deadLetter !== undefined) return deadLetter;
  throw new Refusal(
    `there is no dead letter ${sequence}: it was replayed or purged, or never existed. ` +
      'dead-letters list shows those that exist',
  );
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
    const deadLetter = await find(manager, next);
    if (deadLetter === undefined) break;
    deadLetters.push(deadLetter);
    sequence = deadLetter.sequence + 1;
  }
  return deadLetters;
}

/** @throws UsageError where the word is not a sequence. */
export function readSequence(word: string | undefined): number {
  const sequence = /^\d{1,15}$/.test(word ?? '') ? Number(word) : 0;
  if (sequence > 0) return sequence;
  throw new UsageError(`"${word}" is not the number of a dead letter`);
}

async function find(
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
