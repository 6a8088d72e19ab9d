import type { JetStreamManager } from '@nats-io/jetstream';
import { findDeadLetter, type StoredDeadLetter } from '../../../nats/stored-dead-letter.ts';
import { Refusal, UsageError } from '../errors.ts';

/** @throws Refusal where no dead letter has this number. */
export async function readDeadLetter(
  manager: JetStreamManager,
  sequence: number,
): Promise<StoredDeadLetter> {
  const deadLetter = await findDeadLetter(manager, { seq: sequence });
  if (deadLetter !== undefined) return deadLetter;
  throw new Refusal(
    `there is no dead letter ${sequence}: it was replayed or purged, or never existed. ` +
      'dead-letters list shows those that exist',
  );
}

/** @throws UsageError where the word is not a sequence. */
export function readSequence(word: string | undefined): number {
  const sequence = /^\d{1,15}$/.test(word ?? '') ? Number(word) : 0;
  if (sequence > 0) return sequence;
  throw new UsageError(`"${word}" is not the number of a dead letter`);
}
