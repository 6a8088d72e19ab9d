/** What is wrong with a part of a request, which a JSON pointer names: `/3/value`. */
export interface Fault {
  pointer: string;
  detail: string;
}

/** Codes that the client makes itself. Every other one is the gateway's, as docs/http-api.md lists them. */
type ClientCode =
  /** A key, a value or an option is wrong. Nothing was sent. */
  | 'invalid-argument'
  /** The connection failed, or no answer came in time. */
  | 'no-answer'
  /** The answer is not a gateway's: a redirect, a proxy's page, an error without a code. */
  | 'unexpected-answer'
  /** The caller's signal ended the call. */
  | 'aborted'
  /** The buffer holds as many keys as it may. What was to be added is not in it. */
  | 'buffer-full'
  /** The buffer was closed. What was to be added is not in it. */
  | 'buffer-closed'
  /** A batch may be stored, and its idempotency key no longer protects a repeat. */
  | 'idempotency-key-expired';

export type ErrorCode = ClientCode | (string & {});

export interface ErrorFacts {
  /** Of the HTTP answer; undefined where there was none. */
  status?: number | undefined;
  /** The faults of an `invalid-request`. */
  errors?: Fault[] | undefined;
  /** Whether the same call, with the same idempotency key, may succeed later. */
  retryable?: boolean | undefined;
  /** Whether something of the call may be counted, now or later. False means: nothing was stored. */
  mayBeStored?: boolean | undefined;
  /** What the increments were sent under. A repeat with this key is counted once within 24 hours. */
  idempotencyKey?: string | undefined;
  cause?: unknown;
}

/** Everything that this package throws. Branch on `code`, `retryable` and `mayBeStored`; `detail` may change. */
export class IncrementMeshError extends Error {
  override readonly name = 'IncrementMeshError';
  readonly code: ErrorCode;
  readonly detail: string;
  readonly status: number | undefined;
  readonly errors: Fault[];
  readonly retryable: boolean;
  readonly mayBeStored: boolean;
  readonly idempotencyKey: string | undefined;

  constructor(code: ErrorCode, detail: string, facts: ErrorFacts = {}) {
    super(`${code}: ${detail}`, facts.cause === undefined ? {} : { cause: facts.cause });
    this.code = code;
    this.detail = detail;
    this.status = facts.status;
    this.errors = facts.errors ?? [];
    this.retryable = facts.retryable ?? false;
    this.mayBeStored = facts.mayBeStored ?? false;
    this.idempotencyKey = facts.idempotencyKey;
  }
}

/** For what the caller passed. Nothing was sent. */
export function invalidArgument(detail: string): IncrementMeshError {
  return new IncrementMeshError('invalid-argument', detail);
}
