import { sql, type Kysely } from 'kysely';
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import { FileMigrationProvider, Migrator } from 'kysely/migration';
import { openDatabase } from './database.ts';
import { type Database } from './tables.ts';

/** One file each, in the order of their names. */
const MIGRATIONS = fileURLToPath(new URL('./migrations', import.meta.url));

export interface MigrateOptions {
  /** The URL of the role that owns the tables and may create roles. */
  ownerUrl: string;
  gatewayPassword: string;
  counterPassword: string;
}

/**
 * Brings the tables to this version and makes the two roles of the services: `mesh_gateway` reads counters
 * and which messages are committed, `mesh_counter` writes counters and ledgers. Safe to repeat and to run
 * several times at once: Kysely's migrator takes a lock, and so does the step for the roles.
 */
export async function migrate(options: MigrateOptions): Promise<void> {
  const db = openDatabase(options.ownerUrl, {
    name: 'increment-mesh migrate',
    connectionsMax: 2,
    queryTimeoutMs: 120_000,
    onBrokenConnection: () => undefined,
  });
  try {
    const migrator = new Migrator({
      db,
      provider: new FileMigrationProvider({ fs, path, migrationFolder: MIGRATIONS }),
    });
    const { error } = await migrator.migrateToLatest();
    if (error !== undefined) throw error;
    await db.transaction().execute((transaction) => grantRoles(transaction, options));
  } finally {
    await db.destroy();
  }
}

const ROLES_LOCK = 4_711_001;

async function grantRoles(db: Kysely<Database>, options: MigrateOptions): Promise<void> {
  await sql`select pg_advisory_xact_lock(${ROLES_LOCK})`.execute(db);
  await createRole(db, 'mesh_gateway', options.gatewayPassword);
  await createRole(db, 'mesh_counter', options.counterPassword);

  const run = (statement: string) => sql.raw(statement).execute(db);
  await run('grant select on increments to mesh_gateway');
  await run('grant select (id, sequence, stored_at) on ledger to mesh_gateway');
  await run(
    'grant select (version, incarnation, sequence, id, stored_at) on parked_messages to mesh_gateway',
  );
  await run('alter role mesh_gateway set default_transaction_read_only = on');
  await run("alter role mesh_gateway set statement_timeout = '2s'");

  await run('grant select, insert, update on increments to mesh_counter');
  await run('grant select, insert, update, delete on ledger, idempotency_keys to mesh_counter');
  await run('grant select, insert, delete on dead_letters, parked_messages to mesh_counter');
  await run('grant select, insert, update on streams to mesh_counter');
  await run("alter role mesh_counter set default_transaction_isolation = 'read committed'");
  await run('alter role mesh_counter set synchronous_commit = on');
  // A counter service that freezes during a flush holds row locks: the server ends its transaction, so that
  // it can't block the others.
  await run("alter role mesh_counter set idle_in_transaction_session_timeout = '3s'");
  await run("alter role mesh_counter set lock_timeout = '5s'");
  await run("alter role mesh_counter set statement_timeout = '10s'");
  await run("alter role mesh_counter set transaction_timeout = '15s'");
  await run("alter role mesh_counter set tcp_keepalives_idle = '5s'");
  await run("alter role mesh_counter set tcp_keepalives_interval = '2s'");
  await run('alter role mesh_counter set tcp_keepalives_count = 3');
}

/** A role belongs to all databases of the server, so it may exist already. */
async function createRole(db: Kysely<Database>, name: string, password: string): Promise<void> {
  const { rows } = await sql`select 1 from pg_roles where rolname = ${name}`.execute(db);
  const verb = rows.length === 0 ? 'create' : 'alter';
  // A role's password can't be a parameter, so the server quotes it.
  const formatted = await sql<{ text: string }>`
    select format('${sql.raw(verb)} role %I login password %L', ${name}::text, ${password}::text) as text`.execute(
    db,
  );
  await sql.raw(formatted.rows[0]?.text ?? '').execute(db);
}
