import { type Kysely } from 'kysely';
import type { Database } from '../../schema/database/tables.ts';
import type { StreamState } from './stream-state.ts';

/** Thrown if one of the two stores went back in time; going on would lose or double counts. */
export class StoresDisagree extends Error {
  override readonly name = 'StoresDisagree';
}

/**
 * Compares what the broker has removed and stored with what the database knows.
 *
 * @throws StoresDisagree with the store that lost something and what to do.
 */
export async function compareStores(
  db: Kysely<Database>,
  stream: StreamState,
  readAgain: () => Promise<StreamState>,
): Promise<void> {
  const incarnation = String(stream.incarnation);
  const removed = stream.firstSequence - 1;
  // One statement: pruning moves the proof from a row of the ledger to the row of the stream.
  const known = await db
    .selectFrom('streams')
    .where('streams.incarnation', '=', incarnation)
    .select('pruned_through')
    .select((eb) => [
      eb
        .selectFrom('ledger')
        .select(({ fn }) => fn.max('sequence').as('last'))
        .where('ledger.incarnation', '=', incarnation)
        .as('last'),
      eb
        .selectFrom('ledger')
        .select('ledger.sequence')
        .where('ledger.incarnation', '=', incarnation)
        .where('ledger.sequence', '=', String(removed))
        .as('removed'),
    ])
    .executeTakeFirst();

  if (known === undefined) {
    if (removed > 0) throw new StoresDisagree(databaseLost(removed, incarnation));
    await db
      .insertInto('streams')
      .values({ incarnation, pruned_through: '0' })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    return;
  }

  const last = Number(known.last ?? 0);
  // Another counter service may have committed a message that was stored since: read the stream again.
  if (last > stream.lastSequence && last > (await readAgain()).lastSequence) {
    throw new StoresDisagree(
      `PostgreSQL has counted message ${last}, but the stream ends at ${stream.lastSequence}: ` +
        'the stream went back in time (restored from an older copy?). New messages would get ' +
        'sequences that are settled already. Make the stream again: a new one gets new rows in the ledger',
    );
  }
  if (removed > Number(known.pruned_through) && known.removed === null) {
    throw new StoresDisagree(databaseLost(removed, incarnation));
  }
}

function databaseLost(removed: number, incarnation: string): string {
  return (
    `the stream has removed messages up to ${removed} as counted, but PostgreSQL does not know ${removed}: ` +
    'the database went back in time (restored from an older copy?), or another database was used before. ' +
    'Restore the newer database. To go on without those counts: insert into streams (incarnation, ' +
    `pruned_through) values (${incarnation}, ${removed}) on conflict (incarnation) do update set ` +
    'pruned_through = excluded.pruned_through'
  );
}
