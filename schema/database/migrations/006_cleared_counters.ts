import { sql, type Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('cleared_counters')
    .addColumn('id', 'bigint', (column) => column.primaryKey().generatedAlwaysAsIdentity())
    .addColumn('key', 'uuid', (column) => column.notNull())
    .addColumn('value', 'numeric(38, 0)', (column) => column.notNull())
    // Not the begin of the transaction, which may wait for a flush.
    .addColumn('cleared_at', 'timestamptz', (column) =>
      column.notNull().defaultTo(sql`clock_timestamp()`),
    )
    .addColumn('cleared_by', 'text', (column) => column.notNull())
    .addColumn('request_id', 'text', (column) => column.notNull())
    .execute();
}
