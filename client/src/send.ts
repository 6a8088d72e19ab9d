import { pauseMs, readRetryAfter } from './back-off.ts';
import { IncrementMeshError } from './error.ts';
import { judgeAnswer, judgeSilence, type Failure } from './judge.ts';

/** The standard's fetch, so far as it is used here. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** One request, which is sent again and again without a change. */
export interface Call<Answer> {
  fetch: Fetch;
  url: string;
  method: 'GET' | 'POST';
  headers: Record<string, string>;
  body?: string;
  /** For an answer to one attempt. */
  timeoutMs: number;
  /** For all attempts and the pauses between them. */
  deadlineMs: number;
  signal?: AbortSignal | undefined;
  /** Of what changes something: told in errors. */
  idempotencyKey?: string;
  /** Reads the body of a success; undefined where it is not a gateway's. */
  read: (body: unknown, headers: Headers) => Answer | undefined;
  /** Reads the body of a 404 that is an answer too. */
  readNotFound?: ((body: unknown) => Answer | undefined) | undefined;
}

/** Time and chance, which tests replace. */
export interface Clock {
  /** Milliseconds, by a clock that is never set; it stops while the machine sleeps. */
  now: () => number;
  /** Milliseconds, by a clock that goes on then. */
  date: () => number;
  /** From 0 to 1. */
  random: () => number;
  /** Ends early when the signal aborts. */
  sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/**
 * Sends a request until it has an answer that no repeat would change, the deadline is near or the caller aborts.
 *
 * @throws IncrementMeshError. Its `mayBeStored` is true if any of the attempts may have been stored.
 */
export async function send<Answer>(call: Call<Answer>, clock: Clock = realClock): Promise<Answer> {
  const { deadlineMs, signal } = call;
  const startedAt = clock.now();
  const startedOn = clock.date();
  // By both: after a sleep of a day gateways have forgotten the idempotency key.
  const msLeft = () => deadlineMs - Math.max(clock.now() - startedAt, clock.date() - startedOn);
  const giveUp = (failure: Failure, attempt: number, retryAfterMs: number) => {
    const wait = retryAfterMs > 0 ? `, which asks for a pause of ${retryAfterMs} ms` : '';
    const detail = `${failure.detail} (given up within ${deadlineMs} ms, after attempt ${attempt}${wait})`;
    return explain(call, { ...failure, detail, mayBeStored });
  };
  let mayBeStored = false;
  for (let attempt = 1; ; attempt++) {
    if (signal !== undefined && hasAborted(signal)) {
      throw explain(call, abortedBy(signal, mayBeStored));
    }
    const tried = await tryOnce(call, Math.min(call.timeoutMs, Math.max(1, msLeft())));
    if ('answer' in tried) return tried.answer;
    const { failure, retryAfterMs } = tried;
    if (call.method === 'POST') mayBeStored ||= failure.mayBeStored;
    // Not the latter, since the caller said how long to wait for it.
    if (!failure.retryable || failure.code === 'not-yet-complete') {
      throw explain(call, { ...failure, mayBeStored });
    }
    if (signal !== undefined && hasAborted(signal)) continue;
    const ms = pauseMs(attempt, retryAfterMs, clock.random);
    if (ms >= msLeft()) throw giveUp(failure, attempt, retryAfterMs);
    await clock.sleep(ms, signal);
    // The machine may have slept in the pause.
    if (msLeft() <= 0 && signal?.aborted !== true) throw giveUp(failure, attempt, retryAfterMs);
  }
}

type Tried<Answer> = { answer: Answer } | { failure: Failure; retryAfterMs: number };

async function tryOnce<Answer>(call: Call<Answer>, timeoutMs: number): Promise<Tried<Answer>> {
  const { fetch, url, method, headers, body, signal } = call;
  const ending = new AbortController();
  const timer = setTimeout(
    () => ending.abort(new Error(`no answer within ${Math.round(timeoutMs)} ms`)),
    timeoutMs,
  );
  const abort = () => ending.abort(signal?.reason);
  signal?.addEventListener('abort', abort);
  try {
    const init: RequestInit = { method, headers, signal: ending.signal, redirect: 'manual' };
    const response = await fetch(url, body === undefined ? init : { ...init, body });
    const text = await response.text();
    const said = parse(text);
    const answer = response.ok
      ? call.read(said, response.headers)
      : response.status === 404
        ? call.readNotFound?.(said)
        : undefined;
    if (answer !== undefined) return { answer };
    const failure = judgeAnswer(response.status, text);
    // A success that no gateway gave proves nothing.
    if (response.ok) failure.mayBeStored = true;
    return { failure, retryAfterMs: readRetryAfter(response.headers.get('retry-after')) };
  } catch (cause) {
    const reason: unknown = ending.signal.aborted ? ending.signal.reason : cause;
    return { failure: judgeSilence(reason), retryAfterMs: 0 };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A call, so that the compiler does not take the first look for the last. */
function hasAborted({ aborted }: AbortSignal): boolean {
  return aborted;
}

function abortedBy({ reason }: AbortSignal, mayBeStored: boolean): Failure {
  const why = reason instanceof Error ? reason.message : String(reason);
  return {
    code: 'aborted',
    detail: `the caller ended the call: ${why}`,
    retryable: true,
    mayBeStored,
    cause: reason,
  };
}

function explain(call: Call<unknown>, { code, detail, ...facts }: Failure): IncrementMeshError {
  const { method, url, idempotencyKey } = call;
  const { pathname } = new URL(url);
  return new IncrementMeshError(code, `${method} ${pathname}: ${detail}`, {
    ...facts,
    idempotencyKey,
  });
}

const realClock: Clock = {
  now: () => performance.now(),
  date: () => Date.now(),
  random: Math.random,
  sleep,
};

/** Resolves after a time, or as soon as the signal aborts. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const wake = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', wake);
      resolve();
    };
    const timer = setTimeout(wake, ms);
    signal?.addEventListener('abort', wake);
  });
}
