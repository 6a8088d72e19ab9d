import { Type, type Static } from 'typebox';
import type { Exact } from './int64.ts';

const KEY_PATTERN =
  '^(?!00000000-0000-0000-0000-000000000000$)[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$';
/** The rules in words, as errors give them. */
export const KEY_RULE = 'must be a UUID of the form 8-4-4-4-12, and not the nil UUID';
export const VALUE_RULE =
  'must be an integer from 1 to 9223372036854775807, written without quotes, fraction or exponent';

export const INCREMENT_RULE = 'must be an object with "key" and "value"';
/** Of a message's id. */
export const ID_RULE = 'must be the id that an accepted increment was answered with';

const KEY = new RegExp(KEY_PATTERN);

/** For the documentation. */
export const EXAMPLE_KEY = '86f1fe5b-6dc7-45cb-9837-9e84757f5246';

/** A counter's key. TypeBox's own `format: 'uuid'` would let the nil UUID through. */
export const Key = Type.String({
  pattern: KEY_PATTERN,
  description: KEY_RULE,
  examples: [EXAMPLE_KEY],
});

/**
 * What an increment adds. `maximum: 2n ** 63n - 1n` would compile to a comparison of doubles that
 * lets 2^63 through, hence the exclusive bound.
 */
export const IncrementValue = Type.Union(
  [
    Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    Type.BigInt({ minimum: 2n ** 53n, exclusiveMaximum: 2n ** 63n }),
  ],
  { description: VALUE_RULE },
);

/** The body of `POST /increment`. */
export const IncrementBody = Type.Object(
  { key: Key, value: IncrementValue },
  { additionalProperties: false },
);
export type IncrementBody = Static<typeof IncrementBody>;

/** What the interface's documents show as a message. */
export const EXAMPLE_ID = '01a20796-d738-7798-9027-666dad60be1c';

/** The answer to an increment that is on disk: `id` names its message, `sequence` its place. */
export const Accepted = Type.Object(
  {
    accepted: Type.Integer(),
    id: Type.String(),
    sequence: Type.Integer(),
  },
  {
    description:
      'On disk. `id` names the message that holds it, `sequence` its place in the stream.',
    examples: [{ accepted: 1, id: EXAMPLE_ID, sequence: 1 }],
  },
);
export type Accepted = Static<typeof Accepted>;

/** A message's id, as an accepted increment is answered with it. */
export const MessageParams = Type.Object({
  id: Type.String({
    pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$',
    description: ID_RULE,
    examples: [EXAMPLE_ID],
  }),
});

/** Whether the message of an accepted increment is committed to PostgreSQL. */
export const Committed = Type.Object(
  {
    id: Type.String(),
    committed: Type.Boolean(),
    sequence: Type.Union([Type.Integer(), Type.Null()]),
    stored_at: Type.Union([Type.String(), Type.Null()]),
  },
  {
    description:
      'Whether the ledger has the message. Where it has, `sequence` is its place in the stream and `stored_at` the time at which the stream took it.',
    examples: [
      { id: EXAMPLE_ID, committed: true, sequence: 1, stored_at: '2026-11-23T08:47:35.352Z' },
    ],
  },
);
export type Committed = Static<typeof Committed>;

/** One addition to one counter; `once` is the scoped idempotency key, where it has one. */
export interface Increment {
  key: string;
  value: Exact;
  once?: string | undefined;
}

/** Whether a string is a counter's key, in either case. Keys are stored in lower case. */
export function isKey(value: unknown): value is string {
  return typeof value === 'string' && KEY.test(value);
}
