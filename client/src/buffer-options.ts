import { invalidArgument, type IncrementMeshError } from './error.ts';
import { BATCH_BYTES_MAX, BATCH_INCREMENTS_MAX, INCREMENT_BYTES_MAX } from './increment.ts';

export interface BufferOptions {
  /** How many keys the buffer holds, those under way included; 100 000 by default, some 20 MB. */
  maxKeys?: number | undefined;
  /** Of a batch: it is sent when the next increment might not fit. 1 MiB by default, which is the most. */
  maxBytes?: number | undefined;
  /** How long something waits before it is sent, while nothing else is under way; 1 000 by default. */
  maxAgeMs?: number | undefined;
  /** Told of each error with which a batch stays in the buffer. It must not throw. */
  onError?: ((error: IncrementMeshError) => void) | undefined;
}

const MAX_KEYS = 100_000;
const MAX_AGE_MS = 1_000;
/** As long as a timer can be. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** With the defaults, and what they mean for a batch. @throws IncrementMeshError `invalid-argument` */
export function readBufferOptions(options: BufferOptions) {
  const maxKeys = readCount('maxKeys', options.maxKeys, { otherwise: MAX_KEYS });
  const maxAgeMs = readCount('maxAgeMs', options.maxAgeMs, {
    otherwise: MAX_AGE_MS,
    most: TIMER_MS_MAX,
  });
  const maxBytes = readCount('maxBytes', options.maxBytes, {
    otherwise: BATCH_BYTES_MAX,
    least: 2 * INCREMENT_BYTES_MAX,
    most: BATCH_BYTES_MAX,
  });
  // Two bytes are the brackets of the array.
  const batchMax = Math.min(BATCH_INCREMENTS_MAX, Math.floor((maxBytes - 2) / INCREMENT_BYTES_MAX));
  return { maxKeys, maxAgeMs, batchMax, onError: options.onError };
}

function readCount(
  name: string,
  given: number | undefined,
  { otherwise, least = 1, most = Number.MAX_SAFE_INTEGER }: Bounds,
): number {
  const count = given ?? otherwise;
  if (Number.isSafeInteger(count) && count >= least && count <= most) return count;
  throw invalidArgument(`${name} must be an integer from ${least} to ${most}, and is ${count}`);
}

interface Bounds {
  otherwise: number;
  least?: number;
  most?: number;
}
