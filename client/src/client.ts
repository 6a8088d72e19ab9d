import {
  readAccepted,
  readCounter,
  readCounters,
  readNotCounted,
  type Accepted,
  type Counter,
} from './answers.ts';
import { invalidArgument } from './error.ts';
import { checkKey, encodeBatch, encodeIncrement, type Increment } from './increment.ts';
import { send, type Fetch } from './send.ts';

export interface ClientOptions {
  /** Of a gateway, or of what stands before several: `http://127.0.0.1:3000`. */
  url: string | URL;
  /** Sent as `Authorization: Bearer …`. */
  apiKey?: string | undefined;
  /** In place of the global fetch. It must heed its signal, or nothing ends at its time. */
  fetch?: Fetch | undefined;
  /** For an answer to one attempt; 15 000 by default, a little more than a gateway of a cluster takes. */
  timeoutMs?: number | undefined;
  /** For a call with all its attempts; 60 000 by default. */
  deadlineMs?: number | undefined;
}

export interface CallOptions {
  /** Ends the call; what was sent may be stored then. */
  signal?: AbortSignal | undefined;
  /** For the call with all its attempts, in place of the client's; an hour at most. */
  deadlineMs?: number | undefined;
}

export interface IncrementOptions extends CallOptions {
  /** 1 to 255 visible ASCII characters; by default a random one for each call. Kept across its attempts. */
  idempotencyKey?: string | undefined;
}

export interface ReadOptions extends CallOptions {
  /**
   * The total must hold everything up to this time, or this `sequence` of an answer; else the read rejects with
   * `not-yet-complete`.
   */
  atLeast?: number | Date | undefined;
  /** How long the gateway may wait for that, in whole seconds up to 30; it does not wait by default. */
  waitSeconds?: number | undefined;
}

/** Every method rejects with an IncrementMeshError and with nothing else. */
export interface Client {
  /** Adds to one counter. Resolves when the increment is on disk. */
  increment: (key: string, value: number | bigint, options?: IncrementOptions) => Promise<Accepted>;
  /** Adds 1 to 10 000 increments as one message: all of them or none. */
  incrementMany: (
    increments: readonly Increment[],
    options?: IncrementOptions,
  ) => Promise<Accepted>;
  /** A counter's total; 0n where it is not counted yet. It is at most ten seconds behind. */
  read: (key: string, options?: ReadOptions) => Promise<Counter>;
  /** The totals of 1 to 100 counters, in the order of the keys. */
  readMany: (keys: readonly string[], options?: ReadOptions) => Promise<Counter[]>;
}

const TIMEOUT_MS = 15_000;
const DEADLINE_MS = 60_000;
/** An idempotency key holds for a day, so no call comes near that. */
const MS_MAX = 3_600_000;
/** No gateway waits longer. */
const WAIT_S_MAX = 30;
const KEYS_MAX = 100;
const VISIBLE = /^[\x21-\x7e]+$/;
const IDEMPOTENCY_KEY_LENGTH_MAX = 255;

/**
 * A client for the gateways at a URL. It holds no connection and needs no closing.
 *
 * @throws IncrementMeshError `invalid-argument` for a wrong option.
 */
export function createClient(options: ClientOptions): Client {
  const base = readUrl(options.url);
  const { apiKey } = options;
  if (apiKey !== undefined && !VISIBLE.test(apiKey)) {
    throw invalidArgument('the API key must have visible ASCII characters only');
  }
  const authorization: Record<string, string> =
    apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
  const timeoutMs = readMs('timeoutMs', options.timeoutMs, TIMEOUT_MS);
  const deadlineMsOfClient = readMs('deadlineMs', options.deadlineMs, DEADLINE_MS);
  // Looked up at each call, so that a fetch that is replaced later is used; a method, as browsers want it.
  const fetch: Fetch = options.fetch ?? ((url, init) => globalThis.fetch(url, init));

  function post(
    path: string,
    body: string,
    { idempotencyKey = crypto.randomUUID(), signal, deadlineMs }: IncrementOptions,
  ): Promise<Accepted> {
    if (!VISIBLE.test(idempotencyKey) || idempotencyKey.length > IDEMPOTENCY_KEY_LENGTH_MAX) {
      throw invalidArgument('the idempotency key must have 1 to 255 visible ASCII characters');
    }
    return send({
      fetch,
      url: `${base}${path}`,
      method: 'POST',
      headers: {
        ...authorization,
        'content-type': 'application/json',
        'idempotency-key': `"${idempotencyKey.replaceAll(/["\\]/g, '\\$&')}"`,
      },
      body,
      timeoutMs,
      deadlineMs: readMs('deadlineMs', deadlineMs, deadlineMsOfClient),
      signal,
      idempotencyKey,
      read: (answer, headers) => {
        const accepted = readAccepted(answer);
        const replayed = headers.get('idempotent-replayed') === 'true';
        return accepted && { ...accepted, replayed, idempotencyKey };
      },
    });
  }

  function get<Answer>(
    path: string,
    query: URLSearchParams,
    { atLeast, waitSeconds = 0, signal, deadlineMs, ...reader }: ReadOptions & Reader<Answer>,
  ): Promise<Answer> {
    if (atLeast !== undefined) query.set('at_least', describeAtLeast(atLeast));
    if (!Number.isSafeInteger(waitSeconds) || waitSeconds < 0 || waitSeconds > WAIT_S_MAX) {
      throw invalidArgument(
        `waitSeconds must be a whole number from 0 to ${WAIT_S_MAX}, and is ${waitSeconds}`,
      );
    }
    const asked = String(query);
    const wait: Record<string, string> = waitSeconds === 0 ? {} : { prefer: `wait=${waitSeconds}` };
    return send({
      fetch,
      url: `${base}${path}${asked === '' ? '' : `?${asked}`}`,
      method: 'GET',
      headers: { ...authorization, ...wait },
      timeoutMs: timeoutMs + waitSeconds * 1_000,
      deadlineMs: readMs('deadlineMs', deadlineMs, deadlineMsOfClient),
      signal,
      ...reader,
    });
  }

  return {
    increment: async (key, value, options = {}) =>
      post('/increment', encodeIncrement({ key, value }), options),
    incrementMany: async (increments, options = {}) =>
      post('/increments', encodeBatch(increments), options),
    read: async (key, options = {}) => {
      checkKey(key);
      return get(`/counters/${key}`, new URLSearchParams(), {
        ...options,
        read: readCounter,
        readNotFound: (body) => readNotCounted(body, key),
      });
    },
    readMany: async (keys, options = {}) => {
      if (keys.length === 0 || keys.length > KEYS_MAX) {
        throw invalidArgument(`one read has 1 to ${KEYS_MAX} keys, and this one ${keys.length}`);
      }
      keys.forEach(checkKey);
      const query = new URLSearchParams(keys.map((key): [string, string] => ['key', key]));
      return get('/counters', query, { ...options, read: readCounters });
    },
  };
}

interface Reader<Answer> {
  read: (body: unknown) => Answer | undefined;
  readNotFound?: (body: unknown) => Answer | undefined;
}

/** Without a slash at the end. */
function readUrl(given: string | URL): string {
  let url: URL;
  try {
    url = new URL(given);
  } catch {
    throw invalidArgument(`the url must be as http://127.0.0.1:3000 is, and is ${String(given)}`);
  }
  const { protocol, username, password, search, hash } = url;
  if (protocol !== 'http:' && protocol !== 'https:') {
    throw invalidArgument(`the url must begin with http: or https:, and begins with ${protocol}`);
  }
  if (username !== '' || password !== '' || search !== '' || hash !== '') {
    throw invalidArgument('the url must have no user, password, query or fragment');
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

function readMs(name: string, given: number | undefined, otherwise: number): number {
  if (given === undefined) return otherwise;
  if (given > 0 && given <= MS_MAX) return given;
  throw invalidArgument(`${name} must be more than 0 and at most ${MS_MAX}, and is ${given}`);
}

function describeAtLeast(atLeast: number | Date): string {
  if (atLeast instanceof Date && !Number.isNaN(atLeast.getTime())) return atLeast.toISOString();
  if (Number.isSafeInteger(atLeast) && Number(atLeast) >= 0) return String(atLeast);
  throw invalidArgument(
    `atLeast must be a sequence number or a valid Date, and is ${String(atLeast)}`,
  );
}
