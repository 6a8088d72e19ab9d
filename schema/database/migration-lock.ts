import { PostgresAdapter, PostgresDialect, sql, type DialectAdapter, type Kysely } from 'kysely';

const LOCK_TABLE = 'kysely_migration_lock';

/**
 * Kysely's dialect with another lock for migrations. Its own is an advisory lock, which every role of the
 * database could take and keep; a table can be locked only by those who may write it.
 */
export class TableLockDialect extends PostgresDialect {
  override createAdapter(): DialectAdapter {
    return new TableLockAdapter();
  }
}

class TableLockAdapter extends PostgresAdapter {
  override acquireMigrationLock(db: Kysely<any>): Promise<void> {
    return lockMigrations(db);
  }

  /** The end of the transaction does it. */
  override releaseMigrationLock(): Promise<void> {
    return Promise.resolve();
  }
}

/** Until the end of the transaction. @throws DatabaseError 55P03 after the session's lock_timeout. */
export async function lockMigrations(db: Kysely<any>): Promise<void> {
  await sql`lock table ${sql.table(LOCK_TABLE)} in exclusive mode`.execute(db);
}

/** As Kysely makes it, but outside of the transaction, so that first migrations can wait for each other. */
export async function createMigrationLock(db: Kysely<any>): Promise<void> {
  const create = db.schema
    .createTable(LOCK_TABLE)
    .ifNotExists()
    .addColumn('id', 'varchar(255)', (column) => column.notNull().primaryKey())
    .addColumn('is_locked', 'integer', (column) => column.notNull().defaultTo(0));
  await create.execute().catch(async (error: unknown) => {
    // "If not exists" fails where another session makes it at the same moment; then it is there now.
    if ((error as { code?: string }).code !== '23505') throw error;
    await create.execute();
  });
}
