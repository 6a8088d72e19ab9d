import { sql, type Transaction } from 'kysely';
import type { Database } from '../../schema/database/tables.ts';

/**
 * Makes the transaction's commit wait until synchronous standbys, where there are any, have
 * everything that the transaction saw.
 *
 * A commit waits for them by itself, and is only then seen by others, with one exception: a primary
 * that crashes during the wait shows afterwards what it has committed and no standby has. Were the
 * broker to forget that, a fail-over would lose it. The log goes to a standby in its order, so a
 * write that is confirmed confirms all before it; one that changed nothing else would not wait.
 */
export async function confirmReplication(transaction: Transaction<Database>): Promise<void> {
  await sql`
    select case when current_setting('synchronous_standby_names') <> ''
      then pg_logical_emit_message(true, 'increment-mesh', 'seen') end`.execute(transaction);
}
