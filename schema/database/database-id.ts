import { sql, type Kysely } from 'kysely';
import { openDatabase } from './database.ts';
import type { Database } from './tables.ts';

/** The same for a standby and a physical copy, another one for every other database. */
export async function readDatabaseId(db: Kysely<Database>): Promise<string> {
  const { rows } = await sql<{ id: string }>`
    select system_identifier || '-' || oid as id
    from pg_control_system(), pg_database where datname = current_database()`.execute(db);
  return rows[0]!.id;
}

export async function readDatabaseIdAt(url: string): Promise<string> {
  const db = openDatabase(url, {
    name: 'increment-mesh provision',
    connectionsMax: 1,
    queryTimeoutMs: 10_000,
    onBrokenConnection: () => undefined,
  });
  return readDatabaseId(db).finally(() => db.destroy());
}
