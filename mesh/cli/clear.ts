import { sql, type Kysely } from 'kysely';
import type { Database } from '../../schema/database/tables.ts';
import { EXIT, type Command } from './command.ts';
import { confirm } from './confirm.ts';
import { formatCount, plural } from './quantities.ts';

/** `clear`: every counter is zero again. */
export const clear: Command = {
  name: 'clear',
  synopsis: '[--yes]',
  summary: 'Sets every counter to zero',
  help: `
Zeroes the counts, the ledger's totals and what was carried, in one transaction, so that the books
stay balanced. Keys stay, with the value 0. The ids of messages and the idempotency keys stay too:
what was counted before can't be counted again by a late copy.

Increments that wait in the stream are not cleared: they are counted afterwards, from zero. While
it runs counters wait, and flush as soon as it ends.

  --yes   does not ask; for scripts`,
  options: { yes: { type: 'boolean' } },
  run: async (context) => {
    const { servers, print } = context;
    const database = await servers.database();
    const { keys, sum } = await readCounts(database);
    const question = `This sets ${plural(keys, 'counter')}, in all ${formatCount(sum)}, to zero for good.`;
    if (!(await confirm(question, context))) {
      print({ cleared: false }, () => 'Nothing was changed.');
      return EXIT.bad;
    }
    const cleared = await clearCounts(database);
    print(
      { cleared: true, ...cleared },
      () => `${plural(cleared.keys, 'counter')}, in all ${formatCount(cleared.sum)}, set to zero.`,
    );
    return EXIT.fine;
  },
};

const LOCK_TIMEOUT = '30s';

/**
 * The tables are locked first, in the order in which a flush comes by them. An update alone would
 * miss the ledger row of a flush that commits meanwhile, and yet zero what that flush added.
 */
export function clearCounts(database: Kysely<Database>): Promise<{ keys: number; sum: string }> {
  return database.transaction().execute(async (db) => {
    await sql`set local lock_timeout = ${sql.lit(LOCK_TIMEOUT)}`.execute(db);
    await sql`lock table ledger, streams, increments in share row exclusive mode`.execute(db);
    const counts = await readCounts(db);
    await db
      .updateTable('increments')
      .set({ value: '0', updated_at: sql`now()` })
      .where('value', '!=', '0')
      .execute();
    await db.updateTable('ledger').set({ total: '0' }).where('total', '!=', '0').execute();
    await db.updateTable('streams').set({ carried_total: '0' }).execute();
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
