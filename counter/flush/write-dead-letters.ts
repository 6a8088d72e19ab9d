/*
 * Dead letters go through the database. The flush decides what can't be counted by keys and ids that other
 * transactions may hold, and its decision is final only at its commit. So a dead letter is written in the
 * same transaction and published afterwards, under a fixed message id: even after a crash in between it is
 * stored once, and never for something that was counted.
 */
import { sql, type Kysely } from 'kysely';
import type { Database, DeadLettersTable } from '../../schema/database/tables.ts';
import type { DeadLetterReason } from '../../schema/message/envelope.ts';
import { chunks } from './statement-rows.ts';

/** Something that could not be counted, with what a person needs to understand and repair it. */
export interface DeadLetter {
  /** Made of stream incarnation, sequence and reason, so that a repeat is stored once. */
  id: string;
  reason: DeadLetterReason;
  /** Where it was first published. */
  subject: string;
  sequence: number;
  storedAtMs: number;
  payload: string;
  /** SQLSTATE and message, if the database refused it. */
  error?: string | undefined;
}

/** Writes dead letters in the flush's transaction; in parts, since every message of a batch may be bad. */
export async function writeDeadLetters(
  db: Kysely<Database>,
  deadLetters: DeadLetter[],
): Promise<void> {
  const columns = ['id', 'reason', 'subject', 'sequence', 'stored_at', 'payload', 'error'] as const;
  for (const rows of chunks(deadLetters)) {
    const batch = sql<DeadLettersTable>`unnest(
      ${rows.map(({ id }) => id)}::text[],
      ${rows.map(({ reason }) => reason)}::text[],
      ${rows.map(({ subject }) => subject)}::text[],
      ${rows.map(({ sequence }) => sequence)}::bigint[],
      ${rows.map(({ storedAtMs }) => new Date(storedAtMs).toISOString())}::timestamptz[],
      ${rows.map(({ payload }) => Buffer.from(payload))}::bytea[],
      ${rows.map(({ error }) => error ?? null)}::text[]
    )`.as<'batch'>(sql`batch(id, reason, subject, sequence, stored_at, payload, error)`);
    await db
      .insertInto('dead_letters')
      .columns(columns)
      .expression(db.selectFrom(batch).select(columns))
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
}
