/*
 * Dead letters go by way of the database. What can't be counted is judged in the flush, against keys
 * and ids that other transactions hold, and the judgement is final only when the flush commits. So a
 * letter is written in the same transaction and handed to the broker afterwards, under a fixed
 * message id: whatever dies in between, it is stored once, and never for something that was counted.
 */
import { jetstream } from '@nats-io/jetstream';
import { headers, type NatsConnection } from '@nats-io/transport-node';
import type { Kysely } from 'kysely';
import { DEAD_SUBJECT_PREFIX } from '../nats/topology.ts';
import type { Database } from '../schema/database.ts';
import type { DeadLetterReason } from '../schema/envelope.ts';

/** Something that could not be counted, with what a person needs to understand and repair it. */
export interface DeadLetter {
  /** Fixed by stream incarnation, sequence and place, so that a repeat is stored once. */
  id: string;
  reason: DeadLetterReason;
  /** Where it was first published. */
  subject: string;
  sequence: number;
  storedAtMs: number;
  payload: string;
}

/** Rows in one statement, and letters under way at once; a batch can hold 10 000 bad increments. */
const LETTERS_AT_ONCE = 100;
const STORE_TIMEOUT_MS = 2_000;

/** Writes letters down in the flush's transaction. */
export async function writeDeadLetters(db: Kysely<Database>, letters: DeadLetter[]): Promise<void> {
  for (let start = 0; start < letters.length; start += LETTERS_AT_ONCE) {
    const rows = letters.slice(start, start + LETTERS_AT_ONCE).map((letter) => ({
      id: letter.id,
      reason: letter.reason,
      subject: letter.subject,
      sequence: String(letter.sequence),
      stored_at: new Date(letter.storedAtMs),
      payload: Buffer.from(letter.payload),
    }));
    await db
      .insertInto('dead_letters')
      .values(rows)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
}

/**
 * Returns a function that hands the broker all letters that are written down, and removes each once it
 * is stored. Several counters may do so at once: the stream knows the ids for 30 days.
 */
export function createDeadLetterSender(database: Kysely<Database>, connection: NatsConnection) {
  const client = jetstream(connection, { timeout: STORE_TIMEOUT_MS });

  return async function sendDeadLetters(): Promise<void> {
    for (;;) {
      const letters = await database
        .selectFrom('dead_letters')
        .selectAll()
        .orderBy('stored_at')
        .orderBy('sequence')
        .limit(LETTERS_AT_ONCE)
        .execute();
      if (letters.length === 0) return;
      await Promise.all(
        letters.map((letter) => {
          const facts = headers();
          facts.set('Dead-Letter-Reason', letter.reason);
          facts.set('Dead-Letter-Subject', letter.subject);
          facts.set('Dead-Letter-Sequence', letter.sequence);
          facts.set('Dead-Letter-Time', letter.stored_at.toISOString());
          const subject = `${DEAD_SUBJECT_PREFIX}${letter.subject}`;
          return client.publish(subject, letter.payload, { msgID: letter.id, headers: facts });
        }),
      );
      const stored = letters.map(({ id }) => id);
      await database.deleteFrom('dead_letters').where('id', 'in', stored).execute();
    }
  };
}
