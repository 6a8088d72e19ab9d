import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import { sql } from 'kysely';
import { FileMigrationProvider, Migrator } from 'kysely/migration';
import { openDatabase } from '../../schema/database/database.ts';
import { MIGRATIONS } from '../../schema/database/schema-version.ts';

/** What a version that kept its tables in `public` had made: these migrations, roles and rights. */
const FORMER_MIGRATIONS = /^00[1-3]_/;
const ROLES = { mesh_gateway: 'select', mesh_counter: 'select, insert, update, delete' };

/** Makes a database as such a version left it, by whoever may make roles. */
export async function makeFormerTables(
  ownerUrl: string,
  passwords: { gateway: string; counter: string },
): Promise<void> {
  const db = openDatabase(ownerUrl, {
    name: 'former version',
    connectionsMax: 1,
    queryTimeoutMs: 10_000,
    onBrokenConnection: () => undefined,
  });
  const provider = new FileMigrationProvider({ fs, path, migrationFolder: MIGRATIONS });
  const former = {
    getMigrations: async () =>
      Object.fromEntries(
        Object.entries(await provider.getMigrations()).filter(([name]) =>
          FORMER_MIGRATIONS.test(name),
        ),
      ),
  };
  // Its lock is that table, as it was then.
  await sql`create table kysely_migration_lock (id varchar(255) primary key, is_locked integer not null default 0)`.execute(
    db,
  );
  const { error } = await db
    .transaction()
    .execute((transaction) =>
      new Migrator({ db: transaction, provider: former }).migrateToLatest(),
    );
  if (error !== undefined) throw error;
  for (const [role, rights] of Object.entries(ROLES)) {
    const password = role === 'mesh_gateway' ? passwords.gateway : passwords.counter;
    const exists = await sql`select from pg_roles where rolname = ${role}`.execute(db);
    const verb = exists.rows.length === 0 ? 'create' : 'alter';
    await sql.raw(`${verb} role ${role} login password '${password}'`).execute(db);
    const tables = 'increments, ledger, idempotency_keys, dead_letters, parked_messages, streams';
    await sql.raw(`grant ${rights} on ${tables}, kysely_migration to ${role}`).execute(db);
    await sql.raw(`alter role ${role} set search_path = 'public', 'pg_temp'`).execute(db);
  }
  await db.destroy();
}
