import { type Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('streams')
    .addColumn('complete_through', 'timestamptz')
    .addColumn('complete_sequence', 'bigint')
    .execute();
  // The oldest parked message, which counters are not complete beyond.
  await db.schema
    .createIndex('parked_messages_stored_at')
    .on('parked_messages')
    .columns(['stored_at', 'sequence'])
    .execute();
}
