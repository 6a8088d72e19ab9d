import { randomUUID } from 'node:crypto';
import { jetstreamManager } from '@nats-io/jetstream';
import { sql, type Kysely } from 'kysely';
import t from 'tap';
import { compareStores } from '../../../counter/settle/compare-stores.ts';
import { createPurger } from '../../../counter/settle/purge-settled.ts';
import { findSettledFloor } from '../../../counter/settle/settled-floor.ts';
import { readStreamState, type StreamState } from '../../../counter/settle/stream-state.ts';
import { connectToNats } from '../../../nats/connect.ts';
import type { Database } from '../../../schema/database/tables.ts';
import { createLog } from '../../../telemetry/log.ts';
import { startServers } from '../../support/servers.ts';
import { openStreams } from '../../support/stream.ts';
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
  await settle(database, incarnation, [5]);

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

void t.test('a purge ends before the first message that is not settled', async (t) => {
  const servers = await startServers(t);
  const { database } = servers;
  const streams = await openStreams(t, servers);
  const url = servers.urls.nats.counter;
  const connection = await connectToNats({ url, role: 'counter' });
  t.teardown(() => connection.close());
  const manager = await jetstreamManager(connection, { checkAPI: false });
  for (let count = 0; count < 5; count++) await streams.store('not JSON');
  const readProven = async () => {
    const stream = await readStreamState(manager);
    return { stream, floor: await findSettledFloor(database, stream) };
  };
  const { stream } = await readProven();
  const purger = createPurger({
    ackWaitMs: 12_000,
    stores: { readProven },
    manager,
    onPurged: () => undefined,
    log: createLog('counter', 'silent'),
  });
  const incarnation = String(stream.incarnation);

  await settle(database, String(stream.incarnation - 1), [1, 2, 3, 4, 5]);
  t.equal(await purger.purge(), 0, 'what is settled of another stream');
  await settle(database, incarnation, [1, 2, 4]);
  t.equal(await purger.purge(), 2);
  t.match(await servers.inspect(), { messages: 3, lastSequence: 5 });
  t.equal(await purger.purge(), 2, 'nothing is left to purge');
  await settle(database, incarnation, [3]);
  t.equal(await purger.purge(), 4, 'once the hole is filled');
  t.match(await servers.inspect(), { messages: 1, lastSequence: 5 });
});

async function settle(
  database: Kysely<Database>,
  incarnation: string,
  sequences: number[],
): Promise<void> {
  const rows = sequences.map((sequence) => ({
    id: randomUUID(),
    incarnation,
    sequence: String(sequence),
    stored_at: new Date(),
    digest: randomUUID(),
    increments: 1,
    total: '1',
  }));
  await database.insertInto('ledger').values(rows).execute();
}
