import { sql, type Kysely } from 'kysely';
import { LEDGER_KEPT_MS, type Database } from '../../schema/database/tables.ts';
import type { StreamState } from '../settle/stream-state.ts';

/** Rows in one statement, so that no flush waits long for the disk. */
const PRUNE_ROWS_MAX = 10_000;
const PRUNER_LOCK = 4_711_002;

export interface PruneOptions {
  /** The end of the contiguous settled run: nothing above it may go. */
  floor: number;
  idempotencyKeptMs: number;
  /** Whether to end before all is gone. */
  isStopping?: () => boolean;
}

/**
 * Removes ledger rows whose message can't come again, and idempotency keys past their time, by one
 * bounded statement after the other until none is left. Goes by stream time: after an outage of days
 * nothing is forgotten that still waits in the stream, and no clock of a machine matters.
 *
 * @returns how many rows went; none where another counter prunes.
 */
export async function prune(
  database: Kysely<Database>,
  stream: StreamState,
  options: PruneOptions,
): Promise<{ messages: number; keys: number }> {
  const gone = { messages: 0, keys: 0 };
  const keysBefore = new Date(stream.unsettledSinceMs - options.idempotencyKeptMs);
  // What is gone stays in the index until a VACUUM; a statement begins behind it.
  let keysFrom = new Date(0);
  for (;;) {
    const { messages, keys, keysThrough } = await database.transaction().execute(async (db) => {
      const { rows } = await sql<{ mine: boolean }>`
        select pg_try_advisory_xact_lock(${PRUNER_LOCK}) as mine`.execute(db);
      if (rows[0]?.mine !== true) return { messages: 0, keys: 0, keysThrough: null };
      return {
        messages: await pruneMessages(db, stream, options.floor),
        ...(await pruneKeys(db, keysFrom, keysBefore)),
      };
    });
    gone.messages += messages;
    gone.keys += keys;
    keysFrom = keysThrough ?? keysFrom;
    const isLast = messages < PRUNE_ROWS_MAX && keys < PRUNE_ROWS_MAX;
    if (isLast || options.isStopping?.() === true) return gone;
  }
}

/** Deletes and carries the totals in one statement, so that the books balance at every moment. */
async function pruneMessages(
  db: Kysely<Database>,
  stream: StreamState,
  floor: number,
): Promise<number> {
  const before = new Date(stream.unsettledSinceMs - LEDGER_KEPT_MS);
  const current = String(stream.incarnation);
  const result = await db
    .with('doomed', (eb) =>
      eb
        .selectFrom('ledger')
        .select('id')
        .where((where) =>
          where.or([
            where('incarnation', '!=', current),
            where.and([where('incarnation', '=', current), where('sequence', '<=', String(floor))]),
          ]),
        )
        .where('stored_at', '<', before)
        .orderBy('incarnation')
        .orderBy('sequence')
        .limit(PRUNE_ROWS_MAX),
    )
    .with('gone', (eb) =>
      eb
        .deleteFrom('ledger')
        .using('doomed')
        .whereRef('ledger.id', '=', 'doomed.id')
        .returning(['ledger.incarnation', 'ledger.sequence', 'ledger.increments', 'ledger.total']),
    )
    .with('sums', (eb) =>
      eb
        .selectFrom('gone')
        .groupBy('incarnation')
        .select('incarnation')
        .select(({ fn }) => [
          fn.countAll<string>().as('messages'),
          fn.sum<string>('increments').as('increments'),
          fn.sum<string>('total').as('total'),
          fn.max('sequence').as('through'),
        ]),
    )
    .updateTable('streams')
    .from('sums')
    .whereRef('streams.incarnation', '=', 'sums.incarnation')
    .set((eb) => ({
      pruned_through: sql<string>`greatest(streams.pruned_through, sums.through)`,
      carried_messages: eb('streams.carried_messages', '+', eb.ref('sums.messages')),
      carried_increments: eb('streams.carried_increments', '+', eb.ref('sums.increments')),
      carried_total: eb('streams.carried_total', '+', eb.ref('sums.total')),
    }))
    .returning('sums.messages')
    .execute();
  return result.reduce((sum, { messages }) => sum + Number(messages), 0);
}

async function pruneKeys(
  db: Kysely<Database>,
  from: Date,
  before: Date,
): Promise<{ keys: number; keysThrough: Date | null }> {
  const doomed = db
    .selectFrom('idempotency_keys')
    .select('key')
    .where('stored_at', '>=', from)
    .where('stored_at', '<', before)
    .orderBy('stored_at')
    .limit(PRUNE_ROWS_MAX);
  const { count, through } = await db
    .with('gone', (eb) =>
      eb.deleteFrom('idempotency_keys').where('key', 'in', doomed).returning('stored_at'),
    )
    .selectFrom('gone')
    .select(({ fn }) => [
      fn.countAll<string>().as('count'),
      fn.max<Date | null>('stored_at').as('through'),
    ])
    .executeTakeFirstOrThrow();
  return { keys: Number(count), keysThrough: through };
}
