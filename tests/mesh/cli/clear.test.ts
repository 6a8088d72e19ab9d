import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { Client } from 'pg';
import t from 'tap';
import { readBooks } from '../../../counter/maintenance/audit.ts';
import { clearCounts } from '../../../mesh/cli/clear.ts';
import { startServers } from '../../support/servers.ts';
import { until } from '../../support/until.ts';

void t.test('a clear waits for a pruning that is under way, and does not deadlock', async (t) => {
  const { database, urls } = await startServers(t);
  await database
    .insertInto('streams')
    .values({ incarnation: '1', pruned_through: '0', carried_total: '5' })
    .execute();
  // One counter was cleared by itself before.
  await database
    .insertInto('cleared_counters')
    .values({ key: randomUUID(), value: '5', cleared_by: 'a', request_id: 'b' })
    .execute();
  t.equal((await readBooks(database)).difference, '0');
  const pruner = new Client({ connectionString: urls.counterDatabase });
  await pruner.connect();
  t.teardown(() => pruner.end());
  // In the order of prune().
  await pruner.query('begin');
  await pruner.query('select from streams for no key update skip locked');
  const cleared = clearCounts(database).catch((error: unknown) => error);
  const countWaiting = async () => {
    const { rows } = await sql`
      select from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`.execute(database);
    return rows.length;
  };
  await until('a clear that waits', countWaiting, (count) => count === 1);
  await pruner.query('delete from ledger');
  await pruner.query('update streams set carried_total = carried_total + 1');
  await pruner.query('commit');
  t.match(await cleared, { keys: 0 });
  const { rows } = await sql`select carried_total from streams`.execute(database);
  t.strictSame(rows, [{ carried_total: '0' }]);
  t.equal((await readBooks(database)).difference, '0', 'the books balance');
});
