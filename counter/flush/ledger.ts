/*
 * The ledger's statements. Each that locks rows gets them sorted and without repeats, so that two counter
 * services lock in the same order and can't deadlock.
 */
import { sql, type Kysely } from 'kysely';
import type { Database } from '../../schema/database/tables.ts';
import type { Exact } from '../../schema/int64.ts';
import type { Tally } from '../consume/tally.ts';

/** Rows in one statement; limits its parameters, its time and its memory. */
const STATEMENT_ROWS_MAX = 10_000;

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

/** Corrects the totals of messages of which a part was not counted. */
export async function correctTotals(
  db: Kysely<Database>,
  rows: { id: string; increments: number; total: Exact }[],
): Promise<void> {
  for (const chunk of chunks(rows)) {
    const batch = sql<{ id: string; increments: number; total: string }>`unnest(
      ${array(chunk, (row) => row.id)}::uuid[],
      ${array(chunk, (row) => row.increments)}::integer[],
      ${array(chunk, (row) => row.total)}::numeric[]
    )`.as<'batch'>(sql`batch(id, increments, total)`);
    await db
      .updateTable('ledger')
      .from(batch)
      .set((eb) => ({ increments: eb.ref('batch.increments'), total: eb.ref('batch.total') }))
      .whereRef('ledger.id', '=', 'batch.id')
      .execute();
  }
}

export interface KeyClaim {
  key: string;
  payload: string;
  /** In ISO 8601; the claims of a message share it, because formatting it is slow. */
  storedAt: string;
}

/** Claims idempotency keys, sorted; returns those that were claimed before. */
export async function claimKeys(db: Kysely<Database>, claims: KeyClaim[]): Promise<string[]> {
  const known: string[] = [];
  for (const chunk of chunks(claims)) {
    const parameters = sql<{ key: string; payload: string; stored_at: Date }>`unnest(
      ${array(chunk, (claim) => claim.key)}::uuid[],
      ${array(chunk, (claim) => claim.payload)}::uuid[],
      ${array(chunk, (claim) => claim.storedAt)}::timestamptz[]
    )`.as<'batch'>(sql`batch(key, payload, stored_at)`);
    const returned = await db
      .with('batch', (query) => query.selectFrom(parameters).selectAll())
      .with('inserted', (query) =>
        query
          .insertInto('idempotency_keys')
          .columns(['key', 'payload', 'stored_at'])
          .expression(query.selectFrom('batch').select(['key', 'payload', 'stored_at']))
          .onConflict((conflict) => conflict.column('key').doNothing())
          .returning('key'),
      )
      .selectFrom('batch')
      .select('batch.key')
      .where('batch.key', 'not in', (query) => query.selectFrom('inserted').select('inserted.key'))
      .execute();
    for (const { key } of returned) known.push(key);
  }
  return known;
}

/** The payloads of claimed keys. A separate statement, so that it sees the claims that won. */
export async function findKeyPayloads(
  db: Kysely<Database>,
  keys: string[],
): Promise<Map<string, string>> {
  const payloads = new Map<string, string>();
  for (const chunk of chunks(keys)) {
    const rows = await db
      .selectFrom('idempotency_keys')
      .select(['key', 'payload'])
      .where('key', '=', sql<string>`any(${array(chunk, (key) => key)}::uuid[])`)
      .execute();
    for (const { key, payload } of rows) payloads.set(key, payload);
  }
  return payloads;
}

/**
 * Adds a tally's sums to the counters, keys sorted: other counter services lock the same rows. Prepares the
 * next statement while the database runs the current one.
 */
export async function upsertCounters(db: Kysely<Database>, tally: Tally): Promise<void> {
  let running: Promise<unknown> | undefined;
  for (const keys of sortedChunks(tally.keys())) {
    const statement = upsertChunk(db, keys, tally);
    await running;
    running = statement.execute();
  }
  await running;
}

function upsertChunk(db: Kysely<Database>, keys: string[], tally: Tally) {
  const batch = sql<{ key: string; value: string }>`unnest(
    ${array(keys, (key) => key)}::uuid[],
    ${array(keys, (key) => tally.get(key) ?? 0)}::numeric[]
  )`.as<'batch'>(sql`batch(key, value)`);
  return db
    .insertInto('increments')
    .columns(['key', 'value'])
    .expression(db.selectFrom(batch).select(['key', 'value']))
    .onConflict((conflict) =>
      conflict.column('key').doUpdateSet((eb) => ({
        value: eb('increments.value', '+', eb.ref('excluded.value')),
        updated_at: eb.ref('excluded.updated_at'),
      })),
    );
}

/** All keys in order, each part sorted only when it is needed. */
function* sortedChunks(keys: Iterable<string>): Generator<string[]> {
  const parts = Array.from({ length: 256 }, (): string[] => []);
  for (const key of keys) parts[Number.parseInt(key.slice(0, 2), 16)]?.push(key);
  let chunk: string[] = [];
  for (const part of parts) {
    // Keys made from the time share their first digits, so one part may hold all of them.
    chunk = chunk.concat(part.toSorted());
    for (; chunk.length >= STATEMENT_ROWS_MAX; chunk = chunk.slice(STATEMENT_ROWS_MAX)) {
      yield chunk.slice(0, STATEMENT_ROWS_MAX);
    }
  }
  if (chunk.length > 0) yield chunk;
}

/** Splits rows into parts for one statement each. */
export function* chunks<Row>(rows: Row[]): Generator<Row[]> {
  for (let start = 0; start < rows.length; start += STATEMENT_ROWS_MAX) {
    yield rows.slice(start, start + STATEMENT_ROWS_MAX);
  }
}

/**
 * A PostgreSQL array literal. The elements are made here (UUIDs, numbers, ISO times), so none needs quotes;
 * the driver would search and quote each one.
 */
function array<Row>(rows: Row[], read: (row: Row) => string | Exact): string {
  return `{${rows.map(read).join(',')}}`;
}
