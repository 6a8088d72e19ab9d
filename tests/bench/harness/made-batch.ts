import { randomUUIDv7 } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import {
  addToBatch,
  createFlushBatch,
  type FlushBatch,
} from '../../../counter/consume/flush-batch.ts';
import { addToTally } from '../../../counter/consume/tally.ts';
import { digest } from '../../../schema/digest.ts';

const PACK_INCREMENTS = 100;

/** Sequences of different loads must differ, as those of a stream do. */
let sequence = 0;

/** What a counter holds after packs of 100 increments, one for each key. */
export function makeBatch(keys: string[], value: number): FlushBatch {
  const batch = createFlushBatch();
  for (let start = 0; start < keys.length; start += PACK_INCREMENTS) {
    const pack = keys.slice(start, start + PACK_INCREMENTS);
    for (const key of pack) addToTally(batch.tally, key, value);
    const id = randomUUIDv7();
    const now = performance.now();
    addToBatch(batch, {
      sequence: ++sequence,
      id,
      reply: '',
      storedAtMs: Date.now(),
      enteredAt: now,
      ackWaitFrom: now,
      digest: digest(id),
      increments: pack.length,
      total: pack.length * value,
    });
  }
  return batch;
}
