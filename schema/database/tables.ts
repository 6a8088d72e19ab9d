import { type Generated } from 'kysely';

/** The counters, one row a key. */
export interface IncrementsTable {
  key: string;
  /** Numeric, so a decimal string; an integer that can't overflow. */
  value: string;
  updated_at: Generated<Date>;
}

/** How long, in stream time, a settled message stays known: twice what a copy of it may take. */
export const LEDGER_KEPT_MS = 60 * 60 * 1000;

/** One row for every settled message of the stream: what proves that it was counted, once. */
export interface LedgerTable {
  /** The envelope's id; for repeats and dead letters one derived from incarnation and sequence. */
  id: string;
  /** The stream's creation time in milliseconds since 1970: a stream made again starts at 1. */
  incarnation: string;
  sequence: string;
  /** The stream's timestamp of the message. */
  stored_at: Date;
  /** 128 bits of SHA-256 over the message's body. */
  digest: string;
  /** How many increments it added, and their sum. */
  increments: number;
  total: string;
}

/** Idempotency keys, as 128 bits of SHA-256 over the scoped key. */
export interface IdempotencyKeysTable {
  key: string;
  /** Over the increments as they were understood, not over their bytes. */
  payload: string;
  stored_at: Date;
}

/** Dead letters that are committed and not yet stored by the broker; empty but for moments. */
export interface DeadLettersTable {
  /** Fixed by stream incarnation, sequence and place: the message id under which it is stored. */
  id: string;
  reason: string;
  subject: string;
  sequence: string;
  stored_at: Date;
  /** Bytes, since a text of PostgreSQL can't hold every character that a message can. */
  payload: Buffer;
}

/** One row for each stream incarnation; carries what was pruned from the ledger. */
export interface StreamsTable {
  incarnation: string;
  /** Every sequence up to this one was settled and its row pruned. */
  pruned_through: string;
  carried_messages: Generated<string>;
  carried_increments: Generated<string>;
  carried_total: Generated<string>;
}

export interface Database {
  increments: IncrementsTable;
  ledger: LedgerTable;
  idempotency_keys: IdempotencyKeysTable;
  dead_letters: DeadLettersTable;
  streams: StreamsTable;
}
