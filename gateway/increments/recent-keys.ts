import type { Receipt } from './group-commit.ts';
import { ProblemError } from '../errors/problem-details.ts';

/** A gateway remembers this many keys, and up to as many older ones; some 10 MB. */
const KEYS_MAX = 10_000;
const KEPT_MS = 60 * 60 * 1000;

interface Remembered {
  payload: string;
  rememberedAt: number;
  receipt: Promise<Receipt>;
}

export interface Outcome {
  receipt: Receipt;
  isReplay: boolean;
}

export interface RecentKeys {
  /**
   * Commits a payload under a key, unless this gateway has just done so.
   *
   * @throws ProblemError 422 if the key came with another payload, 503 if too many repeats wait.
   */
  storeOnce: (key: string, payload: string, commit: () => Promise<Receipt>) => Promise<Outcome>;
}

/**
 * The keys that a gateway has seen lately: enough to answer most repeats at once. It only saves work; the
 * ledger ensures that a key counts once, whichever gateway gets a repeat.
 *
 * @param waitingMax repeats that may wait for the first request; they are in no queue, which would limit
 * them.
 */
export function createRecentKeys(waitingMax: number): RecentKeys {
  // Two maps, of which the older is dropped whole: deleting the oldest entry of one map, again and again,
  // makes V8 walk over all entries that were deleted before.
  let recent = new Map<string, Remembered>();
  let earlier = new Map<string, Remembered>();
  let waiting = 0;

  async function commitOnce(
    key: string,
    payload: string,
    commit: () => Promise<Receipt>,
  ): Promise<Outcome> {
    const known = recent.get(key) ?? earlier.get(key);
    if (known !== undefined && performance.now() - known.rememberedAt < KEPT_MS) {
      if (known.payload !== payload) throw reused();
      return { receipt: await awaitReceipt(known), isReplay: true };
    }
    const receipt = commit();
    remember(key, { payload, rememberedAt: performance.now(), receipt });
    try {
      return { receipt: await receipt, isReplay: false };
    } catch (error) {
      // Not stored, or in doubt: a repeat must try again.
      recent.delete(key);
      earlier.delete(key);
      throw error;
    }
  }

  async function awaitReceipt({ receipt }: Remembered): Promise<Receipt> {
    if (waiting >= waitingMax) throw tooManyWaiting();
    waiting++;
    try {
      return await receipt;
    } finally {
      waiting--;
    }
  }

  function remember(key: string, entry: Remembered): void {
    if (recent.size >= KEYS_MAX) {
      earlier = recent;
      recent = new Map();
    }
    recent.set(key, entry);
  }

  return { storeOnce: commitOnce };
}

function reused(): ProblemError {
  return new ProblemError(
    'idempotency-key-reused',
    'This Idempotency-Key came with another payload before. Nothing was stored; use a new key.',
  );
}

function tooManyWaiting(): ProblemError {
  return new ProblemError(
    'too-many-waiting',
    'Too many repeats already wait for the broker. Nothing was stored for this one; retry later.',
  );
}
