import { type Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  // In the order in which they are counted: a counter service takes the versions that it understands.
  await db.schema
    .createTable('parked_messages')
    .addColumn('version', 'bigint', (column) => column.notNull())
    .addColumn('incarnation', 'bigint', (column) => column.notNull())
    .addColumn('sequence', 'bigint', (column) => column.notNull())
    .addColumn('id', 'uuid')
    .addColumn('subject', 'text', (column) => column.notNull())
    .addColumn('stored_at', 'timestamptz', (column) => column.notNull())
    .addColumn('payload', 'bytea', (column) => column.notNull())
    .addPrimaryKeyConstraint('parked_messages_pkey', ['version', 'incarnation', 'sequence'])
    .execute();
  await db.schema.createIndex('parked_messages_id').on('parked_messages').column('id').execute();
}
