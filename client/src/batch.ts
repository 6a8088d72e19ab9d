import type { Increment } from './increment.ts';

/** Gateways know a key for 24 hours; the last hour is for the attempts of one call. */
const IDEMPOTENCY_MS_MAX = 23 * 3_600_000;
/** What is sent as one message, with one idempotency key until it is stored. */
export interface Batch {
  increments: Increment[];
  idempotencyKey: string;
  /** How many keys have been taken out of the sums, up to the last of this batch. */
  through: number;
  /** The Date.now() of the first attempt that may have been stored. */
  doubtfulSince: number | undefined;
}

export function makeBatch(increments: Increment[], through: number): Batch {
  return { increments, through, idempotencyKey: crypto.randomUUID(), doubtfulSince: undefined };
}

/** Whether the gateway may have forgotten the key of a batch that it may have stored. */
export function isKeyExpired({ doubtfulSince }: Batch): boolean {
  return doubtfulSince !== undefined && Date.now() - doubtfulSince > IDEMPOTENCY_MS_MAX;
}
