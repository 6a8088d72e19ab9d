import { isKeyExpired, makeBatch, type Batch } from './batch.ts';
import { keyExpired } from './buffer-errors.ts';
import type { Client } from './client.ts';
import { IncrementMeshError } from './error.ts';
import { takeFromSums, type Sums } from './sums.ts';

/** Sums on their way to the gateway: batches, of which the first is sent until it is stored. */
export interface BatchQueue {
  /** The first is under way, or is sent next. */
  readonly batches: readonly Batch[];
  /** Keys that left the sums so far, and of them those that are stored. */
  readonly keys: { readonly taken: number; readonly stored: number };
  /** Increments in the batches. */
  count: () => number;
  /** Whether the sums fill a batch. */
  isFilled: () => boolean;
  /** Makes a batch of the oldest sums. */
  take: () => void;
  /**
   * Sends the first batch.
   *
   * @returns why it is still there; undefined where it is stored, or was halved. With
   * `idempotency-key-expired` it was not sent, and never may be.
   */
  sendFirst: (signal: AbortSignal) => Promise<IncrementMeshError | undefined>;
}

/** A broker or a rate limit may take less in a message than a gateway in a batch. */
const CONTENT_TOO_LARGE = 413;

export function createBatchQueue(
  client: Pick<Client, 'incrementMany'>,
  { sums, increments: most }: { sums: Sums; increments: number },
): BatchQueue {
  const batches: Batch[] = [];
  const keys = { taken: 0, stored: 0 };
  let incrementsMax = most;
  let lastError: IncrementMeshError | undefined;

  /** Nothing of the batch was stored, so both halves are new to the gateway. */
  function halve({ increments, through }: Batch): void {
    incrementsMax = Math.ceil(increments.length / 2);
    const first = makeBatch(increments.slice(0, incrementsMax), keys.stored);
    batches.splice(0, 1, first, makeBatch(increments.slice(incrementsMax), through));
  }

  return {
    batches,
    keys,
    count: () => batches.reduce((count, { increments }) => count + increments.length, 0),
    isFilled: () => sums.size >= incrementsMax,
    take: () => {
      const taken = takeFromSums(sums, incrementsMax);
      keys.taken += taken.keys;
      batches.push(makeBatch(taken.increments, keys.taken));
    },
    sendFirst: async (signal) => {
      const [batch] = batches;
      if (batch === undefined) return undefined;
      if (isKeyExpired(batch)) return keyExpired(batch, lastError);
      const { increments, idempotencyKey, through } = batch;
      const triedAt = Date.now();
      try {
        await client.incrementMany(increments, { idempotencyKey, signal });
      } catch (error) {
        if (!(error instanceof IncrementMeshError)) throw error;
        lastError = error;
        if (error.mayBeStored) batch.doubtfulSince ??= triedAt;
        const isTooLarge = error.status === CONTENT_TOO_LARGE && increments.length > 1;
        if (!isTooLarge || batch.doubtfulSince !== undefined) return error;
        halve(batch);
        return undefined;
      }
      batches.shift();
      keys.stored = through;
      return undefined;
    },
  };
}
