import { sql, type Kysely } from 'kysely';
import { array, chunks } from './statement-rows.ts';
import type { Database } from '../../schema/database/tables.ts';

export interface KeyClaim {
  key: string;
  payload: string;
  /** In ISO 8601; the claims of a message share it, because formatting it is slow. */
  storedAt: string;
}

/** Claims idempotency keys, sorted; returns those that were claimed before. */
export async function claimKeys(db: Kysely<Database>, claims: KeyClaim[]): Promise<string[]> {
  const known: string[] = [];
  for (const chunk of chunks(claims)) {
    const parameters = sql<{ key: string; payload: string; stored_at: Date }>`unnest(
      ${array(chunk, (claim) => claim.key)}::uuid[],
      ${array(chunk, (claim) => claim.payload)}::uuid[],
      ${array(chunk, (claim) => claim.storedAt)}::timestamptz[]
    )`.as<'batch'>(sql`batch(key, payload, stored_at)`);
    const returned = await db
      .with('batch', (query) => query.selectFrom(parameters).selectAll())
      .with('inserted', (query) =>
        query
          .insertInto('idempotency_keys')
          .columns(['key', 'payload', 'stored_at'])
          .expression(query.selectFrom('batch').select(['key', 'payload', 'stored_at']))
          .onConflict((conflict) => conflict.column('key').doNothing())
          .returning('key'),
      )
      .selectFrom('batch')
      .select('batch.key')
      .where('batch.key', 'not in', (query) => query.selectFrom('inserted').select('inserted.key'))
      .execute();
    for (const { key } of returned) known.push(key);
  }
  return known;
}

/** The payloads of claimed keys. A separate statement, so that it sees the claims that won. */
export async function findKeyPayloads(
  db: Kysely<Database>,
  keys: string[],
): Promise<Map<string, string>> {
  const payloads = new Map<string, string>();
  for (const chunk of chunks(keys)) {
    const rows = await db
      .selectFrom('idempotency_keys')
      .select(['key', 'payload'])
      .where('key', '=', sql<string>`any(${array(chunk, (key) => key)}::uuid[])`)
      .execute();
    for (const { key, payload } of rows) payloads.set(key, payload);
  }
  return payloads;
}
