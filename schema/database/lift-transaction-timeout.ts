import { sql, type Kysely } from 'kysely';
import { SETTINGS_SINCE } from './owned-session.ts';

/**
 * Lets this transaction take as long as it does, whatever its role and its server limit others to. An older
 * server has no such limit.
 */
export async function liftTransactionTimeout(transaction: Kysely<any>): Promise<void> {
  await sql`
    select set_config('transaction_timeout', '0', true)
    where current_setting('server_version_num')::integer
      >= ${sql.lit(SETTINGS_SINCE['transaction_timeout'])}`.execute(transaction);
}
