import { sql, type Kysely } from 'kysely';
import { DEFAULT_SCHEMA } from './database-names.ts';
import { onDatabase } from './database.ts';
import { sessionSettings } from './role-settings.ts';
import type { Database } from './tables.ts';

/**
 * Which database counts: the same for a standby and a physical copy, another one for every other database, and
 * for every other schema in it.
 */
export async function readDatabaseId(db: Kysely<Database>): Promise<string> {
  const { rows } = await sql<{ id: string; schema: string | null }>`
    select system_identifier || '-' || oid as id, current_schema()::text as schema
    from pg_control_system(), pg_database where datname = current_database()`.execute(db);
  const { id, schema } = rows[0]!;
  // Without the default one, as it was before a schema could be chosen: streams keep what counts them.
  return schema === null || schema === DEFAULT_SCHEMA ? id : `${id}-${schema}`;
}

export function readDatabaseIdAt(url: string, schema: string): Promise<string> {
  const options = {
    name: 'increment-mesh provision',
    queryTimeoutMs: 10_000,
    settings: sessionSettings(schema),
  };
  return onDatabase(url, options, readDatabaseId);
}
