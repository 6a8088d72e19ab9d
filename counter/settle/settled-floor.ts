import { sql, type Kysely } from 'kysely';
import type { Database } from '../../schema/database/tables.ts';
import type { StreamState } from './stream-state.ts';

/**
 * The end of the contiguous run of settled sequences that starts at the stream's first one. Everything
 * below was proven when it was removed.
 */
export async function findSettledFloor(db: Kysely<Database>, stream: StreamState): Promise<number> {
  const floor = await selectSettledFloor(db, stream).executeTakeFirst();
  return Number(floor?.sequence ?? stream.firstSequence - 1);
}

/** The same as a query, for a part of another one; null if nothing above the stream's first message is settled. */
export function selectSettledFloor(db: Kysely<Database>, stream: StreamState) {
  const below = stream.firstSequence - 1;
  const numbered = db
    .selectFrom('ledger')
    .select(['sequence'])
    .select(sql<string>`sequence - row_number() over (order by sequence)`.as('run'))
    .where('incarnation', '=', String(stream.incarnation))
    .where('sequence', '>', String(below));
  return db
    .selectFrom(numbered.as('numbered'))
    .select((eb) => eb.fn.max<string | null>('sequence').as('sequence'))
    .where('run', '=', String(below));
}
