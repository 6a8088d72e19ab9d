import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import t from 'tap';
import { compareStores } from '../../../counter/settle/compare-stores.ts';
import type { StreamState } from '../../../counter/settle/stream-state.ts';
import { startServers } from '../../support/servers.ts';
import { until } from '../../support/until.ts';

const INCARNATION = 1_800_000_000_000;

void t.test('a comparison that meets pruning finds no fault in either store', async (t) => {
  const { database } = await startServers(t);
  // The broker has removed message 5, and the last row of the ledger is due to be pruned.
  const stream: StreamState = {
    incarnation: INCARNATION,
    firstSequence: 6,
    lastSequence: 6,
    messages: 1,
    unsettledSinceMs: 0,
  };
  const incarnation = String(INCARNATION);
  await database.insertInto('streams').values({ incarnation, pruned_through: '4' }).execute();
  await database
    .insertInto('ledger')
    .values({
      id: randomUUID(),
      incarnation,
      sequence: '5',
      stored_at: new Date(),
      digest: randomUUID(),
      increments: 1,
      total: '1',
    })
    .execute();

  const comparison = await database.transaction().execute(async (pruner) => {
    // Whatever looks into the ledger now waits until the pruner has committed.
    await sql`lock table ledger in access exclusive mode`.execute(pruner);
    const compared = compareStores(database, stream, {
      readStream: () => Promise.resolve(stream),
      readStoredMs: () => Promise.resolve(undefined),
    });
    await until(
      'a comparison that waits',
      () =>
        sql<{ waits: boolean }>`
        select count(*) > 0 as waits
        from pg_locks join pg_database on pg_database.oid = database
        where not granted and datname = current_database()`.execute(pruner),
      ({ rows }) => rows[0]?.waits === true,
    );
    await pruner.deleteFrom('ledger').execute();
    await pruner.updateTable('streams').set({ pruned_through: '5' }).execute();
    // Not awaited in here, where it would wait for ever.
    return { outcome: compared.then(() => 'agree', String) };
  });
  t.equal(await comparison.outcome, 'agree');
});
