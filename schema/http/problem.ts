import { Type, type Static } from 'typebox';

/**
 * Every error of the HTTP API, by its stable code. The document repeats the status (RFC 9457), so that it
 * survives a proxy.
 */
export const PROBLEMS = {
  'invalid-request': {
    status: 400,
    meaning: 'The request is not valid; `errors` lists each fault.',
  },
  'invalid-json': { status: 400, meaning: 'The body is not JSON.' },
  'invalid-idempotency-key': { status: 400, meaning: 'The Idempotency-Key is malformed.' },
  'bad-request': { status: 400, meaning: 'The request could not be read.' },
  unauthorized: { status: 401, meaning: 'No valid API key.' },
  forbidden: { status: 403, meaning: 'The API key does not have the scope.' },
  'cross-origin': {
    status: 403,
    meaning: 'A page of another site may not call a gateway without authentication.',
  },
  'no-such-route': { status: 404, meaning: 'There is no such path.' },
  'no-such-counter': {
    status: 404,
    meaning:
      'The key is not counted: an increment that was just accepted is counted within ten seconds.',
  },
  'no-longer-known': {
    status: 404,
    meaning: 'The ledger keeps a message for an hour, and this one is older.',
  },
  'method-not-allowed': {
    status: 405,
    meaning: 'The path does not have this method; `Allow` lists those that it has.',
  },
  'request-timeout': { status: 408, meaning: 'The request took too long to arrive.' },
  'body-too-large': { status: 413, meaning: 'The body is too large.' },
  'uri-too-long': { status: 414, meaning: 'The path is too long.' },
  'unsupported-media-type': { status: 415, meaning: 'Another content type is needed.' },
  misdirected: {
    status: 421,
    meaning: 'A gateway without authentication does not answer to this Host.',
  },
  'idempotency-key-reused': {
    status: 422,
    meaning: 'The Idempotency-Key came with another payload before. Nothing was stored.',
  },
  'rate-limited': {
    status: 429,
    meaning: 'Over the rate limit; `Retry-After` says when to retry. Nothing was stored.',
  },
  'headers-too-large': { status: 431, meaning: 'The headers are too large.' },
  'internal-error': { status: 500, meaning: 'An error of the gateway; its log has the cause.' },
  'stream-full': {
    status: 503,
    meaning: 'The stream is full until the counter services have caught up. Nothing was stored.',
  },
  'stream-refused': {
    status: 503,
    meaning:
      'The stream refuses increments by its settings, until an operator changes them. Nothing was stored.',
  },
  'broker-unavailable': {
    status: 503,
    meaning: 'The broker could not be reached in time. Nothing was stored.',
  },
  'too-many-waiting': {
    status: 503,
    meaning: 'Too many requests already wait for the broker or the database. Nothing was stored.',
  },
  overloaded: { status: 503, meaning: 'This gateway cannot keep up. Nothing was stored.' },
  stopping: { status: 503, meaning: 'This gateway is stopping. Nothing was stored.' },
  'outcome-unknown': {
    status: 503,
    meaning:
      'The increment may or may not be counted: retry with the same Idempotency-Key to have it counted once.',
  },
  'no-counter-service': {
    status: 503,
    meaning: 'No counter service is there to clear the counter. Nothing was cleared.',
  },
  'clear-outcome-unknown': {
    status: 503,
    meaning:
      'The counter may or may not be cleared: read it, or clear it again, which clears what was counted since.',
  },
  'too-many-watchers': { status: 503, meaning: 'Too many consoles are connected to this gateway.' },
  'database-away': { status: 503, meaning: 'PostgreSQL cannot be read now.' },
  'not-yet-complete': {
    status: 504,
    meaning:
      'The counters are not as complete as `at_least` asks; `complete_through` says how far they are.',
  },
} as const satisfies Record<string, { status: number; meaning: string }>;

export type ProblemCode = keyof typeof PROBLEMS;

/** An error as RFC 9457 defines it. `code` is stable and for programs, `detail` is for people. */
export const Problem = Type.Object(
  {
    type: Type.String({ format: 'uri-reference' }),
    title: Type.String(),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    detail: Type.String({ description: 'For people; it may change' }),
    instance: Type.String({ format: 'uri-reference', description: 'The path of the request' }),
    code: Type.Enum(Object.keys(PROBLEMS) as ProblemCode[], {
      type: 'string',
      description: 'For programs; it is stable, and new ones may come',
    }),
    errors: Type.Optional(
      Type.Array(
        Type.Object(
          {
            detail: Type.String(),
            pointer: Type.String({ description: 'A JSON pointer, or the line of a batch' }),
          },
          { title: 'Fault' },
        ),
        { description: 'Of an `invalid-request`: each fault' },
      ),
    ),
    complete_through: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    complete_sequence: Type.Optional(Type.Union([Type.Integer(), Type.Null()])),
  },
  { title: 'Problem', description: 'An error, as RFC 9457 defines it' },
);
export type Problem = Static<typeof Problem>;

export const PROBLEM_CONTENT_TYPE = 'application/problem+json';
