import { sql, type Kysely } from 'kysely';
import { chunks, executeEach, sortedChunks, uuidArray } from './statement-rows.ts';
import type { Database } from '../../schema/database/tables.ts';

export interface KeyClaim {
  /** Digests in hexadecimal digits, of which the table keeps the first half. */
  key: string;
  payload: string;
}

/**
 * Claims idempotency keys, in their order: other counter services wait for the same rows.
 *
 * @param claims by key.
 * @param storedAtMs from when all are remembered. One time for all is cheaper than one for each, above all in
 * the index by which they are pruned.
 * @returns the keys that were claimed before, as the table has them.
 */
export async function claimKeys(
  db: Kysely<Database>,
  claims: ReadonlyMap<string, KeyClaim>,
  storedAtMs: number,
): Promise<string[]> {
  const storedAt = new Date(storedAtMs);
  const known = await executeEach(sortedChunks(claims.keys()), (keys) =>
    claimChunk(db, keys, { claims, storedAt }),
  );
  return known.map(({ key }) => withoutHyphens(key));
}

function claimChunk(
  db: Kysely<Database>,
  keys: string[],
  { claims, storedAt }: { claims: ReadonlyMap<string, KeyClaim>; storedAt: Date },
) {
  const parameters = sql<{ key: string; payload: string }>`unnest(
    ${uuidArray(keys, (key) => key)}::uuid[],
    ${uuidArray(keys, (key) => claims.get(key)!.payload)}::uuid[]
  )`.as<'batch'>(sql`batch(key, payload)`);
  return db
    .with('batch', (query) => query.selectFrom(parameters).selectAll())
    .with('inserted', (query) =>
      query
        .insertInto('idempotency_keys')
        .columns(['key', 'payload', 'stored_at'])
        .expression(
          query
            .selectFrom('batch')
            .select(['key', 'payload'])
            .select((eb) => eb.cast<Date>(eb.val(storedAt), 'timestamptz').as('stored_at')),
        )
        .onConflict((conflict) => conflict.column('key').doNothing())
        .returning('key'),
    )
    .selectFrom('batch')
    .select('batch.key')
    .where('batch.key', 'not in', (query) => query.selectFrom('inserted').select('inserted.key'));
}

/**
 * The payloads of claimed keys, both as the table has them. A separate statement, so that it sees the claims
 * that won.
 */
export async function findKeyPayloads(
  db: Kysely<Database>,
  keys: string[],
): Promise<Map<string, string>> {
  const payloads = new Map<string, string>();
  for (const chunk of chunks(keys)) {
    const rows = await db
      .selectFrom('idempotency_keys')
      .select(['key', 'payload'])
      .where('key', '=', sql<string>`any(${uuidArray(chunk, (key) => key)}::uuid[])`)
      .execute();
    for (const { key, payload } of rows) {
      payloads.set(withoutHyphens(key), withoutHyphens(payload));
    }
  }
  return payloads;
}

function withoutHyphens(uuid: string): string {
  return uuid.replaceAll('-', '');
}

/** What the table has of a digest. */
export function storedPart(digest: string): string {
  return digest.slice(0, 32);
}
