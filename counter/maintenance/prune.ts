import { sql, type Kysely } from 'kysely';
import { LEDGER_KEPT_MS, type Database } from '../../schema/database/tables.ts';
import type { StreamState } from '../settle/stream-state.ts';

/** Rows in one statement, so that no flush waits long for the disk. */
const PRUNE_ROWS_MAX = 10_000;

export interface PruneOptions {
  idempotencyKeptMs: number;
  /** Whether to stop before everything is deleted. */
  isStopping?: () => boolean;
}

/**
 * Deletes ledger rows whose message can't be delivered again, and expired idempotency keys, in bounded
 * statements until none is left. Goes by stream time: after an outage of days, everything that messages in
 * the stream need is still there, and no machine's clock matters.
 *
 * @returns how many rows were deleted; none if another counter service is pruning.
 */
export async function prune(
  database: Kysely<Database>,
  stream: StreamState,
  options: PruneOptions,
): Promise<{ messages: number; keys: number }> {
  const deleted = { messages: 0, keys: 0 };
  const keysBefore = new Date(stream.unsettledSinceMs - options.idempotencyKeptMs);
  // Deleted rows stay in the index until a VACUUM; each statement starts after them.
  let keysFrom = new Date(0);
  for (;;) {
    const { messages, keys, keysThrough } = await database.transaction().execute(async (db) => {
      const isMine = await lockStream(db, stream);
      if (!isMine) return { messages: 0, keys: 0, keysThrough: null };
      return {
        messages: await pruneMessages(db, stream),
        ...(await pruneKeys(db, keysFrom, keysBefore)),
      };
    });
    deleted.messages += messages;
    deleted.keys += keys;
    keysFrom = keysThrough ?? keysFrom;
    const isLast = messages < PRUNE_ROWS_MAX && keys < PRUNE_ROWS_MAX;
    if (isLast || options.isStopping?.() === true) return deleted;
  }
}

/**
 * Locks the stream's row, for the one counter service that prunes. Not an advisory lock, which a role that
 * may write nothing could take and keep.
 */
async function lockStream(db: Kysely<Database>, { incarnation }: StreamState): Promise<boolean> {
  const row = await db
    .selectFrom('streams')
    .select('incarnation')
    .where('incarnation', '=', String(incarnation))
    .forNoKeyUpdate()
    .skipLocked()
    .executeTakeFirst();
  return row !== undefined;
}

/** Deletes rows and carries their totals in one statement, so that the books always balance. */
async function pruneMessages(db: Kysely<Database>, stream: StreamState): Promise<number> {
  const before = new Date(stream.unsettledSinceMs - LEDGER_KEPT_MS);
  const current = String(stream.incarnation);
  const result = await db
    .with('expired', (eb) =>
      eb
        .selectFrom('ledger')
        .select('id')
        .where((where) =>
          where.or([
            where('incarnation', '!=', current),
            where.and([
              where('incarnation', '=', current),
              where('sequence', '<', String(stream.firstSequence)),
            ]),
          ]),
        )
        .where('stored_at', '<', before)
        .orderBy('incarnation')
        .orderBy('sequence')
        .limit(PRUNE_ROWS_MAX),
    )
    .with('deleted', (eb) =>
      eb
        .deleteFrom('ledger')
        .using('expired')
        .whereRef('ledger.id', '=', 'expired.id')
        .returning(['ledger.incarnation', 'ledger.sequence', 'ledger.increments', 'ledger.total']),
    )
    .with('sums', (eb) =>
      eb
        .selectFrom('deleted')
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
  const expired = db
    .selectFrom('idempotency_keys')
    .select('key')
    .where('stored_at', '>=', from)
    .where('stored_at', '<', before)
    .orderBy('stored_at')
    .limit(PRUNE_ROWS_MAX);
  const { count, through } = await db
    .with('deleted', (eb) =>
      eb.deleteFrom('idempotency_keys').where('key', 'in', expired).returning('stored_at'),
    )
    .selectFrom('deleted')
    .select(({ fn }) => [
      fn.countAll<string>().as('count'),
      fn.max<Date | null>('stored_at').as('through'),
    ])
    .executeTakeFirstOrThrow();
  return { keys: Number(count), keysThrough: through };
}
