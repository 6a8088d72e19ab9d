import { sql, type Kysely } from 'kysely';
import type { Database } from './tables.ts';

/**
 * What parked messages may take on the database's disk, about: as much as the stream may take on the
 * broker's. At the limit, further ones stay in the stream.
 */
export const PARKED_BYTES_MAX = 4096 * 1024 * 1024;

/** More are not counted one by one, which would take long. */
export const PARKED_SEEN_MAX = 100_000;

/** Messages of a newer version, which wait for a counter service that understands them. */
export interface ParkedState {
  /** PARKED_SEEN_MAX if there are more. */
  messages: number;
  /** The highest version among them; null if there are none. */
  version: number | null;
  /** When the first of them was stored, in ISO 8601; null if there are none. */
  since: string | null;
  /** On disk; 0 if there are none. */
  bytes: number;
  isFull: boolean;
}

/** One statement, whose time does not grow with what is parked. */
export async function readParkedState(db: Kysely<Database>): Promise<ParkedState> {
  const { rows } = await sql<{
    messages: string;
    version: string | null;
    since: Date | null;
    bytes: string;
  }>`
    select count(*) as messages, min(stored_at) as since,
      (select max(version) from parked_messages) as version,
      pg_total_relation_size('parked_messages') as bytes
    from (
      select stored_at from parked_messages
      order by version, incarnation, sequence limit ${PARKED_SEEN_MAX}
    ) as first`.execute(db);
  const { version, since, ...found } = rows[0]!;
  const messages = Number(found.messages);
  const bytes = messages === 0 ? 0 : Number(found.bytes);
  return {
    messages,
    version: version === null ? null : Number(version),
    since: since?.toISOString() ?? null,
    bytes,
    isFull: bytes >= PARKED_BYTES_MAX,
  };
}
