import { sql, type Kysely } from 'kysely';
import { onDatabase } from './database.ts';
import type { Database } from './tables.ts';

/** The same for a standby and a physical copy, another one for every other database. */
export async function readDatabaseId(db: Kysely<Database>): Promise<string> {
  const { rows } = await sql<{ id: string }>`
    select system_identifier || '-' || oid as id
    from pg_control_system(), pg_database where datname = current_database()`.execute(db);
  return rows[0]!.id;
}

export function readDatabaseIdAt(url: string): Promise<string> {
  const options = { name: 'increment-mesh provision', queryTimeoutMs: 10_000 };
  return onDatabase(url, options, readDatabaseId);
}
