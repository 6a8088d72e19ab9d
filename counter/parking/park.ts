/*
 * Parking: a message of a newer version waits in a table of the database, out of the way of all others.
 *
 * The flush that parks a message settles it in the ledger, with the total 0, so the broker may drop it. The
 * flush that counts it takes it out of the table and replaces that row, in one transaction: it is either
 * parked or counted, whatever ends in between and however many counter services are at it.
 */
import { sql, type Kysely } from 'kysely';
import type { Database, ParkedMessagesTable } from '../../schema/database/tables.ts';
import { addToBatch, createFlushBatch } from '../consume/flush-batch.ts';
import type { FlushBatch, HeldMessage } from '../consume/flush-batch.ts';
import { array, chunks } from '../flush/statement-rows.ts';

/** One counter service at a time takes messages out; the others would only wait for it. */
const UNPARK_LOCK = 4_711_003;

/** Writes messages of a newer version in the flush's transaction. */
export async function park(
  db: Kysely<Database>,
  messages: HeldMessage[],
  incarnation: number,
): Promise<{ parkedBytes?: number }> {
  if (messages.length === 0) return {};
  const columns = ['version', 'sequence', 'id', 'subject', 'stored_at', 'payload'] as const;
  for (const rows of chunks(messages)) {
    const batch = sql<ParkedMessagesTable>`unnest(
      ${array(rows, ({ body }) => body?.newer?.version ?? 0)}::bigint[],
      ${array(rows, ({ sequence }) => sequence)}::bigint[],
      ${array(rows, ({ id }) => (id === '' ? 'null' : id))}::uuid[],
      ${rows.map(({ body }) => body?.subject.replaceAll('\0', '\uFFFD'))}::text[],
      ${array(rows, ({ storedAtMs }) => new Date(storedAtMs).toISOString())}::timestamptz[],
      ${rows.map(({ body }) => body?.newer?.payload)}::bytea[]
    )`.as<'batch'>(sql`batch(version, sequence, id, subject, stored_at, payload)`);
    await db
      .insertInto('parked_messages')
      .columns(['incarnation', ...columns])
      .expression(
        db
          .selectFrom(batch)
          .select((eb) => eb.cast<string>(eb.val(incarnation), 'bigint').as('incarnation'))
          .select(columns),
      )
      .execute();
  }
  const { rows } = await sql<{ bytes: string }>`
    select pg_total_relation_size('parked_messages') as bytes`.execute(db);
  return { parkedBytes: Number(rows[0]?.bytes) };
}

/**
 * Takes a batch's parked messages out of the table, with the rows of the ledger that hold their places.
 *
 * @returns the batch without those that another counter service has taken, and how many were taken here.
 */
export async function unpark(
  db: Kysely<Database>,
  batch: FlushBatch,
  incarnation: number,
): Promise<{ batch: FlushBatch; unparked: number }> {
  const parked = [...batch.messages.values()].filter(isParked);
  if (parked.length === 0) return { batch, unparked: 0 };
  const taken = await take(db, parked, incarnation);
  const left: FlushBatch = { ...createFlushBatch(), tally: batch.tally };
  for (const message of batch.messages.values()) {
    if (!isParked(message) || taken.has(message.sequence)) addToBatch(left, message);
  }
  return { batch: left, unparked: taken.size };
}

async function take(
  db: Kysely<Database>,
  parked: HeldMessage[],
  incarnation: number,
): Promise<Set<number>> {
  const lock = await sql<{ mine: boolean }>`
    select pg_try_advisory_xact_lock(${UNPARK_LOCK}) as mine`.execute(db);
  if (lock.rows[0]?.mine !== true) return new Set();
  const those = (rows: { sequence: number }[]) =>
    sql<string>`any(${array(rows, ({ sequence }) => sequence)}::bigint[])`;
  const deleted = await db
    .deleteFrom('parked_messages')
    .where('incarnation', '=', String(incarnation))
    .where('sequence', '=', those(parked))
    .returning('sequence')
    .execute();
  const taken = deleted.map(({ sequence }) => ({ sequence: Number(sequence) }));
  await db
    .deleteFrom('ledger')
    .where('incarnation', '=', String(incarnation))
    .where('sequence', '=', those(taken))
    .execute();
  return new Set(taken.map(({ sequence }) => sequence));
}

function isParked({ unparkedAtMs }: HeldMessage): boolean {
  return unparkedAtMs !== undefined;
}
