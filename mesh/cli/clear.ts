import { sql, type Kysely } from 'kysely';
import type { Database } from '../../schema/database/tables.ts';
import { EXIT, type Command } from './command.ts';
import { confirm } from './confirm.ts';
import { formatCount, plural } from '../../telemetry/quantities.ts';

/** `clear`: sets every counter to zero. */
export const clear: Command = {
  name: 'clear',
  synopsis: '[--yes]',
  summary: 'Sets every counter to zero',
  help: `
Zeroes the counters, the ledger's totals and what was carried forward in one transaction, and removes
the records of single counters that were cleared before, so that the books stay balanced. Keys stay, with the value 0. Message ids and idempotency keys stay too, so
that a late copy of something counted before is not counted again.

Increments that wait in the stream or are parked are not cleared: they are counted afterwards, from
zero. Counter services wait while this runs, and flush when it ends.

  --yes   does not ask; for scripts`,
  options: { yes: { type: 'boolean' } },
  run: async (context) => {
    const { servers, print } = context;
    const database = await servers.database();
    const { keys, sum } = await readCounts(database);
    const question = `This sets ${plural(keys, 'counter')} (sum ${formatCount(sum)}) to zero. It can't be undone.`;
    if (!(await confirm(question, context))) {
      print({ cleared: false }, () => 'Nothing was changed.');
      return EXIT.bad;
    }
    const cleared = await clearCounts(database);
    print(
      { cleared: true, ...cleared },
      () => `${plural(cleared.keys, 'counter')} (sum ${formatCount(cleared.sum)}) set to zero.`,
    );
    return EXIT.fine;
  },
};

const LOCK_TIMEOUT = '30s';

/**
 * Locks the tables first: streams as a pruning does, then in the order of a flush. Without the locks, the
 * update would miss the ledger row of a flush that commits meanwhile, but zero the counters that it added to.
 */
export function clearCounts(database: Kysely<Database>): Promise<{ keys: number; sum: string }> {
  return database.transaction().execute(async (db) => {
    await sql`set local lock_timeout = ${sql.lit(LOCK_TIMEOUT)}`.execute(db);
    await sql`lock table streams in exclusive mode`.execute(db);
    await sql`lock table ledger, increments in share row exclusive mode`.execute(db);
    const counts = await readCounts(db);
    await db
      .updateTable('increments')
      .set({ value: '0', updated_at: sql`now()` })
      .where('value', '!=', '0')
      .execute();
    await db.updateTable('ledger').set({ total: '0' }).where('total', '!=', '0').execute();
    await db.updateTable('streams').set({ carried_total: '0' }).execute();
    // What they have was booked in what is zero now.
    await db.deleteFrom('cleared_counters').execute();
    return counts;
  });
}

/** How many keys are not zero, and their sum. */
async function readCounts(db: Kysely<Database>): Promise<{ keys: number; sum: string }> {
  const row = await db
    .selectFrom('increments')
    .where('value', '!=', '0')
    .select(({ fn }) => [
      fn.countAll<string>().as('keys'),
      fn.sum<string | null>('value').as('sum'),
    ])
    .executeTakeFirst();
  return { keys: Number(row?.keys ?? 0), sum: row?.sum ?? '0' };
}
