import { sql, type Kysely } from 'kysely';
import { array, executeEach, sortedChunks } from './statement-rows.ts';
import type { Database } from '../../schema/database/tables.ts';
import type { Tally } from '../consume/tally.ts';

/** Adds a tally's sums to the counters, keys sorted: other counter services lock the same rows. */
export async function upsertCounters(db: Kysely<Database>, tally: Tally): Promise<void> {
  await executeEach(sortedChunks(tally.keys()), (keys) => upsertChunk(db, keys, tally));
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
