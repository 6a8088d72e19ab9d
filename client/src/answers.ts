/* The bodies of answers. Undefined is for what no gateway answers, so that it is never taken for a success. */

/** What is on disk. */
export interface Accepted {
  /** How many increments. */
  accepted: number;
  /** Of the message that holds them, and its place in the stream. */
  id: string;
  sequence: number;
  /** Whether the gateway knew the idempotency key from an earlier attempt. */
  replayed: boolean;
  idempotencyKey: string;
}

export interface Counter {
  key: string;
  value: bigint;
  /** When it last grew; null where it was never counted. */
  updatedAt: Date | null;
  /** Everything that was accepted before this time is in the value; null where the gateway does not know. */
  completeThrough: Date | null;
  /** Everything that was accepted with this sequence or a lower one is in the value; null as above. */
  completeSequence: number | null;
}

export function readAccepted(
  body: unknown,
): Pick<Accepted, 'accepted' | 'id' | 'sequence'> | undefined {
  const { accepted, id, sequence } = asRecord(body);
  if (typeof accepted !== 'number' || typeof id !== 'string' || typeof sequence !== 'number') {
    return undefined;
  }
  return { accepted, id, sequence };
}

/** Of `GET /counters/{key}`. */
export function readCounter(body: unknown): Counter | undefined {
  const record = asRecord(body);
  const { key, value } = record;
  if (typeof key !== 'string' || typeof value !== 'string' || !/^-?\d+$/.test(value)) {
    return undefined;
  }
  return {
    key,
    value: BigInt(value),
    updatedAt: readTime(record['updated_at']),
    ...readComplete(record),
  };
}

/** Of a 404 that says of a key that it is not counted. */
export function readNotCounted(body: unknown, key: string): Counter | undefined {
  const record = asRecord(body);
  if (record['code'] !== 'no-such-counter') return undefined;
  return { key: key.toLowerCase(), value: 0n, updatedAt: null, ...readComplete(record) };
}

/** Of `GET /counters?key=…`, which says once for all of them how complete they are. */
export function readCounters(body: unknown): Counter[] | undefined {
  const { counters, ...complete } = asRecord(body);
  if (!Array.isArray(counters)) return undefined;
  const read = counters.flatMap(
    (counter: unknown) => readCounter({ ...complete, ...asRecord(counter) }) ?? [],
  );
  return read.length === counters.length ? read : undefined;
}

function readComplete(
  record: Record<string, unknown>,
): Pick<Counter, 'completeThrough' | 'completeSequence'> {
  const sequence = record['complete_sequence'];
  return {
    completeThrough: readTime(record['complete_through']),
    completeSequence: typeof sequence === 'number' ? sequence : null,
  };
}

function readTime(text: unknown): Date | null {
  const time = typeof text === 'string' ? new Date(text) : undefined;
  return time === undefined || Number.isNaN(time.getTime()) ? null : time;
}

function asRecord(body: unknown): Record<string, unknown> {
  return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
}
