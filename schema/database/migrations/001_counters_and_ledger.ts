import { sql, type Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  // No index on value, and room in each page, so that an update stays in its page (HOT).
  await db.schema
    .createTable('increments')
    .addColumn('key', 'uuid', (column) => column.primaryKey())
    .addColumn('value', 'numeric(38, 0)', (column) => column.notNull())
    .addColumn('updated_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .modifyEnd(sql`with (fillfactor = 80)`)
    .execute();

  await db.schema
    .createTable('ledger')
    .addColumn('id', 'uuid', (column) => column.primaryKey())
    .addColumn('incarnation', 'bigint', (column) => column.notNull())
    .addColumn('sequence', 'bigint', (column) => column.notNull())
    .addColumn('stored_at', 'timestamptz', (column) => column.notNull())
    .addColumn('digest', 'uuid', (column) => column.notNull())
    .addColumn('increments', 'integer', (column) => column.notNull())
    .addColumn('total', 'numeric(38, 0)', (column) => column.notNull())
    .execute();
  await db.schema
    .createIndex('ledger_incarnation_sequence')
    .on('ledger')
    .columns(['incarnation', 'sequence'])
    .unique()
    .execute();

  await db.schema
    .createTable('idempotency_keys')
    .addColumn('key', 'uuid', (column) => column.primaryKey())
    .addColumn('payload', 'uuid', (column) => column.notNull())
    .addColumn('stored_at', 'timestamptz', (column) => column.notNull())
    .execute();
  await db.schema
    .createIndex('idempotency_keys_stored_at')
    .on('idempotency_keys')
    .column('stored_at')
    .execute();

  await db.schema
    .createTable('dead_letters')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('reason', 'text', (column) => column.notNull())
    .addColumn('subject', 'text', (column) => column.notNull())
    .addColumn('sequence', 'bigint', (column) => column.notNull())
    .addColumn('stored_at', 'timestamptz', (column) => column.notNull())
    .addColumn('payload', 'bytea', (column) => column.notNull())
    .execute();

  await db.schema
    .createTable('streams')
    .addColumn('incarnation', 'bigint', (column) => column.primaryKey())
    .addColumn('pruned_through', 'bigint', (column) => column.notNull())
    .addColumn('carried_messages', 'bigint', (column) => column.notNull().defaultTo(0))
    .addColumn('carried_increments', 'bigint', (column) => column.notNull().defaultTo(0))
    .addColumn('carried_total', 'numeric(38, 0)', (column) => column.notNull().defaultTo(0))
    .execute();
}
