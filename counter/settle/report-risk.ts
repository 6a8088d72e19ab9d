import type { Kysely } from 'kysely';
import { readDatabaseId } from '../../schema/database/database-id.ts';
import type { Database } from '../../schema/database/tables.ts';
import type { Stats } from '../telemetry/stats.ts';
import type { StoresDisagree } from './compare-stores.ts';

/**
 * Gateways store nothing more where it would be counted in another database, or dropped when the stream is
 * made again. Otherwise what they store is counted once the stores agree.
 */
export async function reportRisk(
  { kind, message }: StoresDisagree,
  { database, stats }: { database: Kysely<Database>; stats: Pick<Stats, 'risk'> },
): Promise<void> {
  if (kind !== 'other-database' && kind !== 'stream-went-back') return;
  const id = await readDatabaseId(database).catch(() => undefined);
  if (id !== undefined) stats.risk = { text: message, database: id };
}
