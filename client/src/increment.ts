import { invalidArgument } from './error.ts';

/** The largest value that one increment may have. */
export const INT64_MAX = 2n ** 63n - 1n;

/** The gateway's bounds for a batch. */
export const BATCH_INCREMENTS_MAX = 10_000;
export const BATCH_BYTES_MAX = 1_048_576;

/** An encoded increment with the largest value, and the comma after it. */
export const INCREMENT_BYTES_MAX = 75;

/** One addition to one counter. */
export interface Increment {
  /** A UUID of the form 8-4-4-4-12, in either case; not the nil UUID. */
  key: string;
  /** From 1 to 2^63−1. A number must be a safe integer, since a larger one is rounded already. */
  value: number | bigint;
}

const KEY = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const NIL = '00000000-0000-0000-0000-000000000000';
const SHOWN_LENGTH_MAX = 60;

/** @throws IncrementMeshError `invalid-argument` */
export function checkKey(key: unknown): asserts key is string {
  if (typeof key === 'string' && KEY.test(key) && key !== NIL) return;
  throw invalidArgument(
    `the key must be a UUID of the form 8-4-4-4-12, and not the nil UUID; it is ${show(key)}`,
  );
}

/** @throws IncrementMeshError `invalid-argument` */
export function readValue(value: unknown): bigint {
  if (typeof value === 'bigint' && value >= 1n && value <= INT64_MAX) return value;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1) return BigInt(value);
  const hint =
    typeof value === 'number' && value > Number.MAX_SAFE_INTEGER
      ? '; a number above 2^53−1 is rounded: pass a bigint'
      : '';
  throw invalidArgument(
    `the value must be an integer from 1 to ${INT64_MAX}, as a bigint or a safe integer; it is ${show(value)}${hint}`,
  );
}

/** JSON text with every digit, which JSON.stringify does not write for a bigint. @throws IncrementMeshError */
export function encodeIncrement({ key, value }: Increment): string {
  checkKey(key);
  return `{"key":"${key}","value":${readValue(value)}}`;
}

/** A JSON array. @throws IncrementMeshError `invalid-argument`, which names the first bad increment. */
export function encodeBatch(increments: readonly Increment[]): string {
  if (increments.length === 0 || increments.length > BATCH_INCREMENTS_MAX) {
    throw invalidArgument(
      `a batch has 1 to ${BATCH_INCREMENTS_MAX} increments, and this one ${increments.length}; a buffer makes batches of the right size`,
    );
  }
  return `[${increments.map(encodeAt).join(',')}]`;
}

function encodeAt(increment: Increment, index: number): string {
  try {
    return encodeIncrement(increment);
  } catch (error) {
    throw invalidArgument(
      `increment ${index} of the batch: ${(error as { detail: string }).detail}`,
    );
  }
}

/** What was passed, for a message: its type tells "5" from 5 and 5n. */
function show(value: unknown): string {
  if (typeof value === 'string') {
    return value.length > SHOWN_LENGTH_MAX
      ? `a string of ${value.length} characters`
      : JSON.stringify(value);
  }
  if (typeof value === 'bigint') {
    return value > INT64_MAX ? 'a bigint above that' : `${value}n`;
  }
  return typeof value === 'number' || value === null ? String(value) : `of type ${typeof value}`;
}
