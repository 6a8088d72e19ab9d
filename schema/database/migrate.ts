import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import { pathToFileURL } from 'node:url';
import { FileMigrationProvider, Migrator } from 'kysely/migration';
import { openDatabase } from './database.ts';
import { grantRoles } from './grant-roles.ts';
import { createMigrationLock, lockMigrations } from './migration-lock.ts';
import { MIGRATIONS, refuseLaterSchema } from './schema-version.ts';
import { SESSION_SETTINGS, type DatabaseRole } from './role-settings.ts';

/** A session that keeps a lock on a table must not stop a migration without a word. */
const LOCK_TIMEOUT = '30s';

export interface MigrateOptions {
  /** The URL of the role that owns the tables and may create roles. */
  ownerUrl: string;
  gatewayPassword: string;
  counterPassword: string;
  /** Without it `mesh_reader` is not made. */
  readerPassword?: string | undefined;
  connectionsMax?: Partial<Record<DatabaseRole, number>>;
  /** Told of each right that could not be taken away. */
  say?: (line: string) => void;
}

/**
 * Brings the tables to this version and makes the roles: `mesh_gateway` reads counters and which messages
 * are committed, `mesh_counter` writes counters and ledgers, `mesh_reader` is for people who look. One
 * transaction. Safe to repeat and to run several times at once.
 *
 * @throws LaterSchema if a later version has changed the tables.
 */
export async function migrate(options: MigrateOptions): Promise<void> {
  const { ownerUrl, gatewayPassword, counterPassword, readerPassword, ...others } = options;
  const db = openDatabase(ownerUrl, {
    name: 'increment-mesh migrate',
    connectionsMax: 1,
    queryTimeoutMs: 120_000,
    settings: {
      ...SESSION_SETTINGS,
      default_transaction_read_only: 'off',
      lock_timeout: LOCK_TIMEOUT,
      statement_timeout: '0',
    },
    onBrokenConnection: () => undefined,
  });
  try {
    await createMigrationLock(db);
    await db.transaction().execute(async (transaction) => {
      await lockMigrations(transaction);
      await refuseLaterSchema(transaction);
      const provider = new FileMigrationProvider({
        fs,
        path,
        migrationFolder: MIGRATIONS,
        // As a URL, since a path may have # or % in it.
        import: (file) => import(pathToFileURL(file).href),
      });
      const { error } = await new Migrator({ db: transaction, provider }).migrateToLatest();
      if (error !== undefined) throw error;
      await grantRoles(transaction, {
        passwords: {
          mesh_gateway: gatewayPassword,
          mesh_counter: counterPassword,
          ...(readerPassword !== undefined && { mesh_reader: readerPassword }),
        },
        ...others,
      });
    });
  } finally {
    await db.destroy();
  }
}
