/*
 * The ledger's statements. Each that locks rows gets them sorted and without repeats, so that two counter
 * services lock in the same order and can't deadlock.
 */
import { sql, type Kysely } from 'kysely';
import { array, chunks } from './statement-rows.ts';
import type { Database, NotCounted } from '../../schema/database/tables.ts';
import type { Exact } from '../../schema/int64.ts';

export interface LedgerRow {
  id: string;
  sequence: number;
  storedAtMs: number;
  digest: string;
  increments: number;
  total: Exact;
}

export interface KnownMessage {
  id: string;
  incarnation: number;
  sequence: number;
  digest: string;
}

/**
 * Inserts rows, sorted by id, and returns the ids of those that were not inserted, because a row with their
 * id or their sequence exists. Waits for uncommitted rows of other transactions.
 */
export async function insertMessages(
  db: Kysely<Database>,
  incarnation: number,
  rows: LedgerRow[],
): Promise<Set<string>> {
  const known = new Set<string>();
  for (const chunk of chunks(rows)) {
    const parameters = sql<{
      id: string;
      sequence: string;
      stored_at: Date;
      digest: string;
      increments: number;
      total: string;
    }>`unnest(
      ${array(chunk, (row) => row.id)}::uuid[],
      ${array(chunk, (row) => row.sequence)}::bigint[],
      ${array(chunk, (row) => new Date(row.storedAtMs).toISOString())}::timestamptz[],
      ${array(chunk, (row) => row.digest)}::uuid[],
      ${array(chunk, (row) => row.increments)}::integer[],
      ${array(chunk, (row) => row.total)}::numeric[]
    )`.as<'batch'>(sql`batch(id, sequence, stored_at, digest, increments, total)`);
    const returned = await db
      .with('batch', (query) => query.selectFrom(parameters).selectAll())
      .with('inserted', (query) =>
        query
          .insertInto('ledger')
          .columns(['incarnation', 'id', 'sequence', 'stored_at', 'digest', 'increments', 'total'])
          .expression(
            query
              .selectFrom('batch')
              .select((eb) => eb.cast<string>(eb.val(incarnation), 'bigint').as('incarnation'))
              .select(['id', 'sequence', 'stored_at', 'digest', 'increments', 'total']),
          )
          .onConflict((conflict) => conflict.doNothing())
          .returning('id'),
      )
      .selectFrom('batch')
      .select('batch.id')
      .where('batch.id', 'not in', (query) => query.selectFrom('inserted').select('inserted.id'))
      .execute();
    for (const { id } of returned) known.add(id);
  }
  return known;
}

/** The rows with one of these ids, or with one of these sequences of the incarnation. */
export async function findMessages(
  db: Kysely<Database>,
  incarnation: number,
  messages: { id: string; sequence: number }[],
): Promise<KnownMessage[]> {
  const found: KnownMessage[] = [];
  for (const chunk of chunks(messages)) {
    const ids = sql<string>`any(${array(chunk, ({ id }) => id)}::uuid[])`;
    const sequences = sql<string>`any(${array(chunk, ({ sequence }) => sequence)}::bigint[])`;
    const columns = ['id', 'incarnation', 'sequence', 'digest'] as const;
    const rows = await db
      .selectFrom('ledger')
      .select(columns)
      .where('id', '=', ids)
      .union(
        db
          .selectFrom('ledger')
          .select(columns)
          .where('incarnation', '=', String(incarnation))
          .where('sequence', '=', sequences),
      )
      .execute();
    for (const row of rows) {
      found.push({ ...row, incarnation: Number(row.incarnation), sequence: Number(row.sequence) });
    }
  }
  return found;
}

/** Corrects the totals of messages of which a part was not counted, and says why it was not. */
export async function correctTotals(
  db: Kysely<Database>,
  rows: { id: string; increments: number; total: Exact; notCounted: NotCounted }[],
): Promise<void> {
  for (const chunk of chunks(rows)) {
    const batch = sql<{
      id: string;
      increments: number;
      total: string;
      not_counted: NotCounted;
    }>`unnest(
      ${array(chunk, (row) => row.id)}::uuid[],
      ${array(chunk, (row) => row.increments)}::integer[],
      ${array(chunk, (row) => row.total)}::numeric[],
      ${chunk.map(({ notCounted }) => JSON.stringify(notCounted))}::jsonb[]
    )`.as<'batch'>(sql`batch(id, increments, total, not_counted)`);
    await db
      .updateTable('ledger')
      .from(batch)
      .set((eb) => ({
        increments: eb.ref('batch.increments'),
        total: eb.ref('batch.total'),
        not_counted: eb.ref('batch.not_counted'),
      }))
      .whereRef('ledger.id', '=', 'batch.id')
      .execute();
  }
}
