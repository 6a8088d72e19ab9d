import { Type, type Static } from 'typebox';
import { digitsUpTo, exactOf, INT64_MAX, type Exact } from './int64.ts';

export const NIL_KEY = '00000000-0000-0000-0000-000000000000';
export const UUID_PATTERN =
  '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$';
export const KEY_PATTERN = `^(?!${NIL_KEY}$)${UUID_PATTERN.slice(1)}`;
/** The rules in words, as errors state them. */
export const KEY_RULE = 'must be a UUID of the form 8-4-4-4-12, and not the nil UUID';
export const VALUE_RULE =
  'must be an integer from 1 to 9223372036854775807: a number without fraction or exponent, or a string of its digits';

export const INCREMENT_RULE = 'must be an object with "key" and "value"';

const KEY = new RegExp(KEY_PATTERN);
/** A value as a string of digits. */
export const VALUE_PATTERN = digitsUpTo(INT64_MAX);
const VALUE = new RegExp(VALUE_PATTERN);

/** For the documentation. */
export const EXAMPLE_KEY = '86f1fe5b-6dc7-45cb-9837-9e84757f5246';

/** A counter's key. TypeBox's own `format: 'uuid'` would accept the nil UUID. */
export const Key = Type.String({
  title: 'Key',
  pattern: KEY_PATTERN,
  description: KEY_RULE,
  examples: [EXAMPLE_KEY],
});

/**
 * What an increment adds. `maximum: 2n ** 63n - 1n` would compile to a comparison of doubles that accepts
 * 2^63, hence the exclusive bound.
 */
export const IncrementValue = Type.Union(
  [
    Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    Type.BigInt({ minimum: 2n ** 53n, exclusiveMaximum: 2n ** 63n }),
    // For clients whose JSON has no exact integers above 2^53−1. The same value has one such string.
    Type.String({ pattern: VALUE_PATTERN }),
  ],
  { description: VALUE_RULE },
);

/** The body of `POST /increment`. */
export const IncrementBody = Type.Object(
  { key: Key, value: IncrementValue },
  { title: 'Increment', additionalProperties: false },
);
export type IncrementBody = Static<typeof IncrementBody>;

/** One addition to one counter. */
export interface Increment {
  key: string;
  value: Exact;
  /** Scoped by source and principal. */
  idempotency_key?: string | undefined;
}

/** A value that was written as a string of digits, as the number that it is; anything else as it is. */
export function readDigits(value: unknown): unknown {
  return typeof value === 'string' && VALUE.test(value) ? exactOf(value) : value;
}

/** An increment whose body has been checked, with its value as a number in either form. */
export function toIncrement({ key, value }: IncrementBody): Increment {
  return { key, value: typeof value === 'string' ? exactOf(value) : value };
}

/** Whether a string is a counter's key, in either case. Keys are stored in lower case. */
export function isKey(value: unknown): value is string {
  return typeof value === 'string' && KEY.test(value);
}
