import { sql, type Kysely } from 'kysely';
import type { Database } from '../../schema/database/tables.ts';
import type { StreamState } from './stream-state.ts';

/**
 * The end of the contiguous run of sequences, from the stream's first on, that the ledger proves
 * settled. What is below the stream's first was proven when it was removed.
 */
export async function findSettledFloor(db: Kysely<Database>, stream: StreamState): Promise<number> {
  const below = stream.firstSequence - 1;
  const numbered = db
    .selectFrom('ledger')
    .select(['sequence'])
    .select(sql<string>`sequence - row_number() over (order by sequence)`.as('run'))
    .where('incarnation', '=', String(stream.incarnation))
    .where('sequence', '>', String(below));
  const floor = await db
    .selectFrom(numbered.as('numbered'))
    .select((eb) => eb.fn.max('sequence').as('sequence'))
    .where('run', '=', String(below))
    .executeTakeFirst();
  return Number(floor?.sequence ?? below);
}
