import { sql, type Kysely } from 'kysely';
import { findOldVersion } from '../../schema/database/server-version.ts';
import type { Database } from '../../schema/database/tables.ts';

/** Thrown if the database can lose commits, or was never tested; waiting would not help. */
export class UnsafeDatabase extends Error {
  override readonly name = 'UnsafeDatabase';
}

/** A commit must be on disk when it returns, and the server be one that was tested. @throws UnsafeDatabase */
export async function checkDurability(db: Kysely<Database>): Promise<void> {
  const { rows } = await sql<{ version: number; fsync: string; synchronous_commit: string }>`
    select current_setting('server_version_num')::integer as version,
      current_setting('fsync') as fsync,
      current_setting('synchronous_commit') as synchronous_commit`.execute(db);
  const { version = 0, fsync, synchronous_commit: synchronousCommit } = rows[0] ?? {};
  const old = findOldVersion(version);
  if (old !== undefined) throw new UnsafeDatabase(old);
  if (fsync !== 'on') {
    throw new UnsafeDatabase(
      'PostgreSQL runs with fsync = off: a power failure would lose counts. Turn it on',
    );
  }
  if (synchronousCommit === 'off' || synchronousCommit === 'local') {
    throw new UnsafeDatabase(
      `synchronous_commit is ${synchronousCommit}; it must be on: take it out of the options in DATABASE_URL`,
    );
  }
}
