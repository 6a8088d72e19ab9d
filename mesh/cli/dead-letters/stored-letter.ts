import type { JetStreamManager, MsgRequest } from '@nats-io/jetstream';
import { INCREMENTS_DEAD } from '../../../nats/streams.ts';
import { Refusal, UsageError } from '../errors.ts';

/** A dead letter as it lies in the stream. */
export interface StoredLetter {
  /** Its place in INCREMENTS_DEAD, by which commands name it. */
  sequence: number;
  deadSince: string;
  reason: string;
  /** Where it was published, its sequence there, and when it was stored. */
  subject: string;
  originalSequence: number;
  storedAt: string;
  payload: string;
  /** How many bytes the payload had, where the broker could not take all of them. */
  truncatedFrom: number | null;
}

/** @throws Refusal where there is none under this number. */
export async function readLetter(
  manager: JetStreamManager,
  sequence: number,
): Promise<StoredLetter> {
  const letter = await find(manager, { seq: sequence });
  if (letter !== undefined) return letter;
  throw new Refusal(
    `there is no dead letter ${sequence}: it was replayed or purged, or never was one. ` +
      'dead-letters list shows what there is',
  );
}

/** Up to so many letters, in their order, from a sequence on. */
export async function readLetters(
  manager: JetStreamManager,
  from: number,
  lettersMax: number,
): Promise<StoredLetter[]> {
  const letters: StoredLetter[] = [];
  let sequence = from;
  while (letters.length < lettersMax) {
    // The API knows this request, the client's type does not.
    const next = { seq: sequence, next_by_subj: '>' } as MsgRequest;
    const letter = await find(manager, next);
    if (letter === undefined) break;
    letters.push(letter);
    sequence = letter.sequence + 1;
  }
  return letters;
}

/** @throws UsageError where a word is not a sequence. */
export function readSequence(word: string | undefined): number {
  const sequence = /^\d{1,15}$/.test(word ?? '') ? Number(word) : 0;
  if (sequence > 0) return sequence;
  throw new UsageError(`"${word}" is not the number of a dead letter`);
}

async function find(
  manager: JetStreamManager,
  query: MsgRequest,
): Promise<StoredLetter | undefined> {
  const stored = await manager.streams.getMessage(INCREMENTS_DEAD, query);
  if (stored === null) return undefined;
  const fact = (name: string) => stored.header.get(`Dead-Letter-${name}`);
  return {
    sequence: stored.seq,
    deadSince: stored.time.toISOString(),
    reason: fact('Reason'),
    subject: fact('Subject'),
    originalSequence: Number(fact('Sequence')),
    storedAt: fact('Time'),
    payload: new TextDecoder().decode(stored.data),
    truncatedFrom: Number(fact('Truncated-From')) || null,
  };
}
