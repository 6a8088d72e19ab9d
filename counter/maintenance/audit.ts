/*
 * Double entry: the counters must hold what the messages added and nobody cleared, and every message removed from the stream
 * must be settled. The ledger's totals are summed from the messages, the counters from the tally, so an
 * error in one can't hide in the other.
 */
import { sql, type Kysely } from 'kysely';
import type { Database } from '../../schema/database/tables.ts';
import { findSettledFloor } from '../settle/settled-floor.ts';
import type { StreamState } from '../settle/stream-state.ts';

/** Sums are decimal strings. */
export interface Books {
  /** Over all counters. */
  counted: string;
  /** Over the records of counters that were cleared. */
  cleared: string;
  /** Over the ledger, plus the carried totals of pruned rows. */
  booked: string;
  /** `counted + cleared − booked`. */
  difference: string;
}

/** Sequences, both ends included. */
export interface Hole {
  from: number;
  through: number;
}

export interface Audit extends Books {
  isBalanced: boolean;
  stream: StreamState;
  prunedThrough: number;
  /** Every sequence up to this one is settled. */
  settledThrough: number;
  /** Messages that left the stream without being settled: how many, and the first few gaps. */
  missing: number;
  holes: Hole[];
  /** The last settled sequence, if the stream ends before it: the stream went back in time. */
  settledBeyondEnd: number | undefined;
}

const HOLES_MAX = 10;

/**
 * Checks the books at one moment, under any load and without false alarms. Stream and database share no
 * snapshot, so each rule holds between states that are read in this order:
 *
 * 1. the stream: messages below its first one were removed, so they were committed before;
 * 2. the database, in one snapshot: the sums are equal, and what 1 saw removed is settled;
 * 3. the stream again: what 2 saw settled was stored before, so the stream does not end below it.
 */
export async function auditBooks(
  database: Kysely<Database>,
  readStream: () => Promise<StreamState>,
): Promise<Audit> {
  const stream = await readStream();
  const snapshot = await database
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (db) => ({
      ...(await readBooks(db)),
      ...(await findHoles(db, stream)),
      settledThrough: await findSettledFloor(db, stream),
      lastSettled: await readLastSettled(db, stream.incarnation),
    }));
  const after = await readStream();
  if (after.incarnation !== stream.incarnation) return auditBooks(database, readStream);

  const { lastSettled, ...found } = snapshot;
  const settledBeyondEnd = lastSettled > after.lastSequence ? lastSettled : undefined;
  const isBalanced =
    found.difference === '0' && found.missing === 0 && settledBeyondEnd === undefined;
  return { ...found, isBalanced, stream, settledBeyondEnd };
}

/** One statement and so one snapshot, inside a transaction or outside. */
export async function readBooks(db: Kysely<Database>): Promise<Books> {
  const { rows } = await sql<Books>`
    select counted, cleared, booked, counted + cleared - booked as difference
    from (select coalesce(sum(value), 0) as counted from increments) as counters,
      (select coalesce(sum(value), 0) as cleared from cleared_counters) as records,
      (select coalesce((select sum(total) from ledger), 0)
        + coalesce((select sum(carried_total) from streams), 0) as booked) as entries`.execute(db);
  return rows[0] ?? { counted: '0', cleared: '0', booked: '0', difference: '0' };
}

/** Gaps between the last pruned sequence and the stream's first message. */
async function findHoles(
  db: Kysely<Database>,
  { incarnation, firstSequence }: StreamState,
): Promise<{ prunedThrough: number; missing: number; holes: Hole[] }> {
  const known = await db
    .selectFrom('streams')
    .select('pruned_through')
    .where('incarnation', '=', String(incarnation))
    .executeTakeFirst();
  const prunedThrough = Number(known?.pruned_through ?? 0);
  if (firstSequence <= prunedThrough) return { prunedThrough, missing: 0, holes: [] };

  const { rows } = await sql<{ from: string; through: string; missing: string }>`
    select sequence + 1 as from, next - 1 as through,
      sum(next - sequence - 1) over () as missing
    from (
      select sequence, lead(sequence) over (order by sequence) as next
      from (
        select ${prunedThrough}::bigint as sequence
        union all
        select sequence from ledger
        where incarnation = ${incarnation}
          and sequence > ${prunedThrough} and sequence < ${firstSequence}
        union all
        select ${firstSequence}::bigint
      ) as settled
    ) as steps
    where next > sequence + 1
    order by sequence
    limit ${HOLES_MAX}`.execute(db);
  const holes = rows.map(({ from, through }) => ({ from: Number(from), through: Number(through) }));
  return { prunedThrough, missing: Number(rows[0]?.missing ?? 0), holes };
}

async function readLastSettled(db: Kysely<Database>, incarnation: number): Promise<number> {
  const row = await db
    .selectFrom('ledger')
    .select(({ fn }) => fn.max<string | null>('sequence').as('last'))
    .where('incarnation', '=', String(incarnation))
    .executeTakeFirst();
  return Number(row?.last ?? 0);
}
