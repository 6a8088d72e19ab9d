import { sql, type Transaction } from 'kysely';
import type { Database } from '../../schema/database/tables.ts';

/**
 * Makes the commit wait until synchronous standbys, if there are any, have everything that the transaction
 * saw.
 *
 * A commit waits for them by itself and is visible only then, with one exception: a primary that crashes
 * during the wait shows the commit after its restart, though no standby has it. If the broker then dropped
 * the messages, a fail-over would lose them. The log reaches a standby in order, so one confirmed write
 * confirms all before it. A transaction that wrote nothing would not wait, hence this message.
 */
export async function confirmReplication(transaction: Transaction<Database>): Promise<void> {
  await sql`
    select case when current_setting('synchronous_standby_names') <> ''
      then pg_logical_emit_message(true, 'increment-mesh', 'seen') end`.execute(transaction);
}
