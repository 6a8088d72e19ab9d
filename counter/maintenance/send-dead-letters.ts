import { jetstream } from '@nats-io/jetstream';
import { headers, type NatsConnection } from '@nats-io/transport-node';
import { type Kysely, type Selectable } from 'kysely';
import { DEAD_SUBJECT_PREFIX, SUBJECTS_PREFIX } from '../../nats/streams.ts';
import type { Database, DeadLettersTable } from '../../schema/database/tables.ts';

/** In flight at once: 32 MiB of the largest, which even a slow disk stores in time. */
const DEAD_LETTERS_AT_ONCE = 16;
const STORE_TIMEOUT_MS = 2_000;

/** The most bytes of the broker's max_payload that a dead letter's headers take, without subject and error. */
const HEADER_BYTES_MAX = 512;

/** Far below 4 KiB, the longest protocol line that the broker accepts. A header has the whole subject. */
const SUBJECT_LENGTH_MAX = 1_000;

/** For what came under another subject, which a header of the dead letter has. */
const FOREIGN_SUBJECT = `${SUBJECTS_PREFIX}foreign`;

/**
 * Returns a function that publishes all dead letters in the table and deletes each once it is stored; one
 * that can't be stored does not stop the others. Several counter services may run it at once: the stream
 * drops repeated ids for 30 days. What is left once `isEnough` says so stays in the table.
 */
export function createDeadLetterSender(database: Kysely<Database>, connection: NatsConnection) {
  const client = jetstream(connection, { timeout: STORE_TIMEOUT_MS });

  return async function sendDeadLetters(isEnough = () => false): Promise<void> {
    let failure: unknown;
    let triedThrough = '';
    for (;;) {
      const deadLetters = await database
        .selectFrom('dead_letters')
        .selectAll()
        .where('id', '>', triedThrough)
        .orderBy('id')
        .limit(DEAD_LETTERS_AT_ONCE)
        .execute();
      const stored: string[] = [];
      await Promise.all(
        deadLetters.map((deadLetter) =>
          store(deadLetter).then(
            () => stored.push(deadLetter.id),
            (error: unknown) => (failure ??= error),
          ),
        ),
      );
      // Nothing is left, or the broker accepts nothing now.
      if (stored.length === 0) break;
      await database.deleteFrom('dead_letters').where('id', 'in', stored).execute();
      triedThrough = deadLetters.at(-1)?.id ?? triedThrough;
      if (isEnough()) break;
    }
    if (failure !== undefined) throw failure;
  };

  async function store(deadLetter: Selectable<DeadLettersTable>): Promise<void> {
    const { id, reason, subject, sequence, stored_at: storedAt, payload, error } = deadLetter;
    const facts = headers();
    facts.set('Dead-Letter-Reason', reason);
    facts.set('Dead-Letter-Subject', subject);
    facts.set('Dead-Letter-Sequence', sequence);
    facts.set('Dead-Letter-Time', storedAt.toISOString());
    if (error !== null) facts.set('Dead-Letter-Error', error);
    const headerBytes = HEADER_BYTES_MAX + Buffer.byteLength(subject + (error ?? ''));
    const bytesMax = (connection.info?.max_payload ?? 1_048_576) - headerBytes;
    if (payload.length > bytesMax) facts.set('Dead-Letter-Truncated-From', String(payload.length));
    await client.publish(deadSubject(subject), payload.subarray(0, bytesMax), {
      msgID: id,
      headers: facts,
    });
  }
}

/** The stream takes no other subjects; a message has one where the subjects of its stream were changed by hand. */
function deadSubject(subject: string): string {
  if (!subject.startsWith(SUBJECTS_PREFIX)) return `${DEAD_SUBJECT_PREFIX}${FOREIGN_SUBJECT}`;
  return DEAD_SUBJECT_PREFIX + subject.slice(0, SUBJECT_LENGTH_MAX).replace(/\.$/, '');
}
