import { randomUUIDv7 } from 'node:crypto';
import { sql, type Kysely } from 'kysely';
import t from 'tap';
import { flush } from '../../../counter/flush/flush.ts';
import type { Database } from '../../../schema/database/tables.ts';
import { makeBatch } from '../../bench/harness/made-batch.ts';
import { readCounters } from '../../support/counters.ts';
import { startServers } from '../../support/servers.ts';

const INCARNATION = 1_800_000_000_000;
/** So many that one flush is still at its first when the other is at its last. */
const KEYS = 5_000;
const ROUNDS = 10;

void t.test('flushes that share all keys, in opposite order, never deadlock', async (t) => {
  const { database } = await startServers(t);
  // By time, so that they share the digits by which a flush sorts them first.
  const keys = Array.from({ length: KEYS }, () => randomUUIDv7()).toSorted();
  const orders = [keys, keys.toReversed()];
  await flush(database, makeBatch(keys, 1), INCARNATION);

  await t.test('though upserts in the order of their keys would', async (t) => {
    let codes: string[] = [];
    for (let round = 0; round < ROUNDS && codes.length === 0; round++) {
      const ends = await Promise.allSettled(orders.map((order) => upsertAsGiven(database, order)));
      codes = ends.flatMap((end) =>
        end.status === 'rejected' ? [(end.reason as { code: string }).code] : [],
      );
    }
    t.strictSame(codes, ['40P01'], 'deadlock_detected');
    await sql`update increments set value = 1`.execute(database);
  });

  for (let round = 0; round < ROUNDS; round++) {
    await Promise.all(orders.map((order) => flush(database, makeBatch(order, 1), INCARNATION)));
  }
  const counters = await readCounters(database);
  t.equal(counters.size, KEYS);
  t.ok(keys.every((key) => counters.get(key) === String(1 + 2 * ROUNDS)));
});

async function upsertAsGiven(database: Kysely<Database>, keys: string[]): Promise<void> {
  await sql`
    insert into increments (key, value) select key, 1 from unnest(${keys}::uuid[]) as batch(key)
    on conflict (key) do update set value = increments.value + 1`.execute(database);
}
