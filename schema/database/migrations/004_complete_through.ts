import { type Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('streams')
    .addColumn('complete_through', 'timestamptz')
    .addColumn('complete_sequence', 'bigint')
    .execute();
  // The oldest parked message, and the first of a stream: counters are not complete beyond them.
  await db.schema
    .createIndex('parked_messages_stored_at')
    .on('parked_messages')
    .column('stored_at')
    .execute();
  await db.schema
    .createIndex('parked_messages_sequence')
    .on('parked_messages')
    .columns(['incarnation', 'sequence'])
    .execute();
}
