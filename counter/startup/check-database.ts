import { sql, type Kysely } from 'kysely';
import type { Database } from '../../schema/database/tables.ts';

/** Thrown if the database's settings can lose commits; waiting would not help. */
export class UnsafeDatabase extends Error {
  override readonly name = 'UnsafeDatabase';
}

/** A commit must be on disk when it returns. @throws UnsafeDatabase */
export async function checkDurability(db: Kysely<Database>): Promise<void> {
  const { rows } = await sql<{ fsync: string; synchronous_commit: string }>`
    select current_setting('fsync') as fsync,
      current_setting('synchronous_commit') as synchronous_commit`.execute(db);
  const { fsync, synchronous_commit: synchronousCommit } = rows[0] ?? {};
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
