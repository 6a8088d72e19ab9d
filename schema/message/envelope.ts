import { digestHex } from '../digest.ts';
import type { Increment } from '../increment.ts';
import { isKey } from '../increment.ts';
import { isIncrementValue, parseExactJson, stringifyExactJson } from '../int64.ts';

/** At most this many increments of different requests share one message. */
export const PACK_INCREMENTS_MAX = 500;
/** At most this many increments are in a client's batch, and so in any message. */
export const BATCH_INCREMENTS_MAX = 10_000;
/** A scoped idempotency key: the principal before a key of at most 255 characters. */
const IDEMPOTENCY_KEY_LENGTH_MAX = 512;

/** The version that this program writes, and the highest that it reads. */
export const ENVELOPE_VERSION = 1;
const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const IDEMPOTENCY_KEY = /^[\x21-\x7e]+$/;

/** The message on the stream. Its idempotency key covers the whole of a client's batch. */
export interface Envelope {
  id: string;
  idempotency_key?: string;
  increments: Increment[];
}

/** An increment of an envelope that can't be counted, though others can. */
export interface RejectedIncrement {
  index: number;
  reason: DeadLetterReason;
  /** The increment as JSON. */
  text: string;
}

/** Why something could not be counted; the value of a dead letter's header. */
export const DEAD_LETTER_REASONS = [
  'not-json',
  'wrong-shape',
  'bad-key',
  'bad-value',
  'bad-idempotency-key',
  'idempotency-key-reused',
  'message-id-reused',
  'late',
  'refused-by-database',
  'not-countable',
] as const;
export type DeadLetterReason = (typeof DEAD_LETTER_REASONS)[number];

/** Thrown for a message that no version of the counter service accepts. */
export class UnacceptableEnvelope extends Error {
  override readonly name = 'UnacceptableEnvelope';
  readonly reason: DeadLetterReason;

  constructor(reason: DeadLetterReason, detail: string) {
    super(detail);
    this.reason = reason;
  }
}

/**
 * Thrown for a message of a newer version, which a newer counter service understands. All that this program
 * relies on is what every version has: `version`, and the `id` as a UUID of version 7.
 */
export class NewerEnvelope extends Error {
  override readonly name = 'NewerEnvelope';
  readonly version: number;
  /** Undefined if it can't be read. */
  readonly id: string | undefined;

  constructor(version: number, id: unknown) {
    super(`the message has version ${version}, this program knows ${ENVELOPE_VERSION}`);
    this.version = version;
    this.id = typeof id === 'string' && UUID_V7.test(id) ? id : undefined;
  }
}

/** One increment as an envelope contains it. Keys are stored in lower case, values keep every digit. */
export function encodeIncrement({ key, value, idempotency_key: once }: Increment): string {
  const suffix = once === undefined ? '' : `,"once":${JSON.stringify(once)}`;
  return `{"key":"${key.toLowerCase()}","value":${value}${suffix}}`;
}

/**
 * What a repeat under one idempotency key must have: the same increments, however they are written and by
 * whichever route they came. In hexadecimal digits.
 */
export function digestIncrements(increments: Increment[]): string {
  const written = increments.map(({ key, value }) => encodeIncrement({ key, value }));
  return digestHex(written.join('\n'));
}

/**
 * Joins encoded increments to a message's body.
 *
 * @param idempotencyKey of a batch as a whole.
 */
export function encodeEnvelope(
  id: string,
  encodedIncrements: string[],
  idempotencyKey?: string,
): string {
  const batchKey = idempotencyKey === undefined ? '' : `"once":${JSON.stringify(idempotencyKey)},`;
  return `{"version":${ENVELOPE_VERSION},"id":"${id}",${batchKey}"increments":[${encodedIncrements.join(',')}]}`;
}

/**
 * Reads a message of any source, without trusting it. Increments that can't be counted are set apart and do
 * not affect the others.
 *
 * @throws UnacceptableEnvelope if nothing of the message can be counted.
 * @throws NewerEnvelope if the version is newer than this program's.
 */
export function decodeEnvelope(text: string): {
  envelope: Envelope;
  rejected: RejectedIncrement[];
} {
  const message = parseMessage(text);
  const { version, id, increments } = message;
  const idempotencyKey = readIdempotencyKey(message);
  if (Number.isSafeInteger(version) && (version as number) > ENVELOPE_VERSION) {
    throw new NewerEnvelope(version as number, id);
  }
  if (version !== ENVELOPE_VERSION) throw wrongShape(`version must be ${ENVELOPE_VERSION}`);
  if (typeof id !== 'string' || !UUID_V7.test(id))
    throw wrongShape('id must be a UUID of version 7');
  if (idempotencyKey !== undefined && !isIdempotencyKey(idempotencyKey))
    throw wrongShape('once (idempotency_key) must be visible ASCII, and given one time');
  if (!Array.isArray(increments)) throw wrongShape('increments must be an array');
  // None has what a gateway stores to see whether the stream stores.
  if (increments.length > BATCH_INCREMENTS_MAX) {
    throw wrongShape(`increments must have at most ${BATCH_INCREMENTS_MAX} items`);
  }
  if (hasOtherFields(message, ENVELOPE_FIELDS))
    throw wrongShape('the envelope has an unknown field');

  const envelope: Envelope = { id, increments: [] };
  if (idempotencyKey !== undefined) envelope.idempotency_key = idempotencyKey;
  const rejected: RejectedIncrement[] = [];
  for (let index = 0; index < increments.length; index++) {
    const item: unknown = increments[index];
    const reason = refusalOf(item);
    if (reason !== undefined) rejected.push({ index, reason, text: written(item) });
    else envelope.increments.push(asIncrement(item as WrittenIncrement));
  }
  return { envelope, rejected };
}

/**
 * Version 1 calls an idempotency key `once`. Its next version will call it `idempotency_key`, which is
 * read already, so that this version's counter services understand what a newer gateway writes.
 */
interface WrittenIncrement extends Increment {
  once?: string;
}
const ENVELOPE_FIELDS = new Set(['version', 'id', 'once', 'idempotency_key', 'increments']);
const INCREMENT_FIELDS = new Set(['key', 'value', 'once', 'idempotency_key']);

function parseMessage(text: string): Record<string, unknown> {
  let message: unknown;
  try {
    message = parseExactJson(text);
  } catch (error) {
    throw new UnacceptableEnvelope('not-json', (error as Error).message);
  }
  if (typeof message !== 'object' || message === null || Array.isArray(message)) {
    throw wrongShape('the message must be a JSON object');
  }
  return message as Record<string, unknown>;
}

function refusalOf(item: unknown): DeadLetterReason | undefined {
  if (typeof item !== 'object' || item === null) return 'wrong-shape';
  const { key, value } = item as Record<string, unknown>;
  const idempotencyKey = readIdempotencyKey(item as Record<string, unknown>);
  if (!isKey(key)) return 'bad-key';
  if (!isIncrementValue(value)) return 'bad-value';
  if (idempotencyKey !== undefined && !isIdempotencyKey(idempotencyKey))
    return 'bad-idempotency-key';
  return hasOtherFields(item, INCREMENT_FIELDS) ? 'wrong-shape' : undefined;
}

function hasOtherFields(record: object, known: Set<string>): boolean {
  for (const name in record) if (!known.has(name)) return true;
  return false;
}

/** JSON can be nested so deeply that it can be read but not written; an increment is not nested. */
function written(item: unknown): string {
  try {
    return stringifyExactJson(item);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw wrongShape('an increment is nested too deeply');
  }
}

/** Reads it under either name. A record with both is malformed, for which null stands. */
function readIdempotencyKey(record: Record<string, unknown>): unknown {
  const { once, idempotency_key: named } = record;
  if (once === undefined) return named;
  return named === undefined ? once : null;
}

function isIdempotencyKey(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value.length <= IDEMPOTENCY_KEY_LENGTH_MAX &&
    IDEMPOTENCY_KEY.test(value)
  );
}

/** Reuses the object if there is no idempotency key: most increments have none, and there are many. */
function asIncrement(written: WrittenIncrement): Increment {
  const key = written.key.toLowerCase();
  const idempotencyKey = written.once ?? written.idempotency_key;
  if (idempotencyKey !== undefined)
    return { key, value: written.value, idempotency_key: idempotencyKey };
  if (key !== written.key) written.key = key;
  return written;
}

function wrongShape(detail: string): UnacceptableEnvelope {
  return new UnacceptableEnvelope('wrong-shape', detail);
}
