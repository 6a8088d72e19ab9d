import type { Generated } from 'kysely';
import type { DeadLetterReason } from '../message/envelope.ts';

/** The counters, one row a key. The table is named after what is added up in it. */
export interface IncrementsTable {
  key: string;
  /** A decimal string, since the column is numeric: an integer that can't overflow. */
  value: string;
  updated_at: Generated<Date>;
}

/** How long, in stream time, a settled message stays known: twice the longest delay of a copy. */
export const LEDGER_KEPT_MS = 60 * 60 * 1000;

/** One row for each settled message of the stream, which proves that it was counted once. */
export interface LedgerTable {
  /** The envelope's id; for repeats and dead letters, one derived from incarnation and sequence. */
  id: string;
  /** The stream's creation time in milliseconds since 1970: a stream that was made again starts at 1. */
  incarnation: string;
  sequence: string;
  /** The stream's timestamp of the message. */
  stored_at: Date;
  /** 128 bits of SHA-256 over the message's body. */
  digest: string;
  /** How many increments it added, and their sum. */
  increments: number;
  total: string;
  /** Its other increments; null if it has none, which is nearly always so. */
  not_counted: Generated<NotCounted | null>;
}

/** How many increments of a message were not added, by why: counted before under their idempotency key, or dead. */
export type NotCounted = Partial<Record<'repeated' | DeadLetterReason, number>>;

/** Idempotency keys, as 128 bits of SHA-256 over the key and its scope. */
export interface IdempotencyKeysTable {
  key: string;
  /** A hash of the increments as they were parsed, not of their bytes. */
  payload: string;
  stored_at: Date;
}

/** Dead letters that are committed and not yet stored by the broker; usually empty. */
export interface DeadLettersTable {
  /** Made of stream incarnation, sequence and reason: the message id under which it is stored. */
  id: string;
  reason: string;
  subject: string;
  sequence: string;
  stored_at: Date;
  /** Bytes, since text in PostgreSQL can't hold every character of a message. */
  payload: Buffer;
  /** SQLSTATE and message of the database's refusal; null for other reasons. */
  error: string | null;
}

/** Messages of a newer version, which wait for a counter service that understands them; usually empty. */
export interface ParkedMessagesTable {
  version: string;
  incarnation: string;
  sequence: string;
  /** The envelope's id, which has its row in the ledger already; null if it could not be read. */
  id: string | null;
  /** Where it was published. */
  subject: string;
  /** The stream's timestamp of the message. */
  stored_at: Date;
  /** The body, byte for byte. */
  payload: Buffer;
}

/** One row for each stream incarnation; carries what was pruned from the ledger. */
export interface StreamsTable {
  incarnation: string;
  /** Every sequence up to this one was settled, and its row pruned. */
  pruned_through: string;
  carried_messages: Generated<string>;
  carried_increments: Generated<string>;
  carried_total: Generated<string>;
  /** Every increment that was stored before this time of the broker is in the counters; null if unknown. */
  complete_through: Date | null;
  /** Every increment up to this sequence is in the counters; null if unknown. */
  complete_sequence: string | null;
}

/** One row for each counter that was cleared on request, for good: what it had, and who cleared it. */
export interface ClearedCountersTable {
  id: Generated<string>;
  key: string;
  value: string;
  cleared_at: Generated<Date>;
  /** The API key's name, or the address where authentication is off. */
  cleared_by: string;
  request_id: string;
}

export interface Database {
  increments: IncrementsTable;
  ledger: LedgerTable;
  idempotency_keys: IdempotencyKeysTable;
  dead_letters: DeadLettersTable;
  parked_messages: ParkedMessagesTable;
  streams: StreamsTable;
  cleared_counters: ClearedCountersTable;
}
