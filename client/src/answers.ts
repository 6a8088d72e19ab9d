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
  /** Everything that was accepted before this time is in the value; null where the gateway does not tell. */
  completeThrough: Date | null;
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
  const { key, value, updated_at: updatedAt, complete_through: completeThrough } = asRecord(body);
  if (typeof key !== 'string' || typeof value !== 'string' || !/^-?\d+$/.test(value)) {
    return undefined;
  }
  return {
    key,
    value: BigInt(value),
    updatedAt: readTime(updatedAt),
    completeThrough: readTime(completeThrough),
  };
}

/** Of `GET /counters?key=…`; the time may be told of each counter or once for all. */
export function readCounters(body: unknown): Counter[] | undefined {
  const { counters, complete_through: completeThrough } = asRecord(body);
  if (!Array.isArray(counters)) return undefined;
  const read = counters.flatMap(
    (counter: unknown) =>
      readCounter({ complete_through: completeThrough, ...asRecord(counter) }) ?? [],
  );
  return read.length === counters.length ? read : undefined;
}

function readTime(text: unknown): Date | null {
  const time = typeof text === 'string' ? new Date(text) : undefined;
  return time === undefined || Number.isNaN(time.getTime()) ? null : time;
}

function asRecord(body: unknown): Record<string, unknown> {
  return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
}
