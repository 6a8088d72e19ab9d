/** The largest value that an increment may have: the maximum of a signed 64-bit integer. */
export const INT64_MAX = 2n ** 63n - 1n;

/** An exact whole number: a number up to 2^53−1, a bigint above. */
export type Exact = number | bigint;

/**
 * A literal that JSON.parse might round or change: 16 digits or more, or a fraction or exponent. A match
 * inside a string is harmless: it only takes the slower path. The pattern starts with what may precede a
 * number, so that the search jumps from one to the next, which is twelve times as fast.
 */
const NEEDS_SOURCE_TEXT = /(?:^|[:[,])\s*-?(?:\d{16}|\d+[.eE])/;

const INTEGER_LITERAL = /^-?\d+$/;
/** Sums over many int64 fit easily. */
const INT_LENGTH_MAX = 100;

/** JSON in Node 24: a reviver gets the source text of a number, and raw text can be written. */
interface JsonWithSource {
  parse: (
    text: string,
    reviver: (name: string, value: unknown, context: { source?: string }) => unknown,
  ) => unknown;
  rawJSON: (text: string) => unknown;
}
const json = JSON as unknown as JsonWithSource;
/** What JSON.stringify writes as it is. */
export const rawJson = json.rawJSON;

/** A number that is not written as an integer. No schema accepts it, and it is written back unchanged. */
class OtherNumber {
  readonly source: string;

  constructor(source: string) {
    this.source = source;
  }

  toJSON(): unknown {
    return json.rawJSON(this.source);
  }
}

/**
 * Parses JSON without rounding: an integer literal beyond 2^53−1 becomes a bigint. A literal that is not an
 * integer (1.5, but 1.0 and 1e3 too) becomes an object, which no schema accepts: an increment has one way
 * to be written.
 *
 * @throws SyntaxError if the text is not JSON, RangeError if it is nested too deeply.
 */
export function parseExactJson(text: string): unknown {
  if (!NEEDS_SOURCE_TEXT.test(text)) return JSON.parse(text);
  return json.parse(text, (_name, value, { source }) => {
    if (typeof value !== 'number' || source === undefined) return value;
    if (!INTEGER_LITERAL.test(source)) return new OtherNumber(source);
    if (Number.isSafeInteger(value)) return value;
    // Far beyond an int64, and to convert a million digits would take a second.
    return source.length > INT_LENGTH_MAX ? new OtherNumber(source) : BigInt(source);
  });
}

/** Writes what parseExactJson has read, with every digit. */
export function stringifyExactJson(value: unknown): string {
  const write = (_name: string, item: unknown) =>
    typeof item === 'bigint' ? json.rawJSON(String(item)) : item;
  return JSON.stringify(value, write) ?? 'null';
}

/** Adds without rounding; the sum is a plain number as long as that is exact. */
export function addExact(left: Exact, right: Exact): Exact {
  if (typeof left === 'number' && typeof right === 'number') {
    const sum = left + right;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return BigInt(left) + BigInt(right);
}

/** The number that a string of digits writes. */
export function exactOf(digits: string): Exact {
  const value = Number(digits);
  return Number.isSafeInteger(value) ? value : BigInt(digits);
}

/**
 * A regular expression for the integers from 1 to `max`, which has two digits or more, without leading zeros:
 * all that are shorter, and those whose first digits are the maximum's until one is less.
 */
export function digitsUpTo(max: bigint): string {
  const digits = String(max);
  const shorter = `[1-9][0-9]{0,${digits.length - 2}}`;
  const less = Array.from(digits).flatMap((digit, index) => {
    const least = index === 0 ? 1 : 0;
    if (Number(digit) <= least) return [];
    const rest = digits.length - index - 1;
    const any = rest === 0 ? '' : `[0-9]{${rest}}`;
    return [`${digits.slice(0, index)}[${least}-${Number(digit) - 1}]${any}`];
  });
  return `^(?:${[shorter, ...less, digits].join('|')})$`;
}

/** Whether a value is an increment's: an integer from 1 to 2^63−1, as parseExactJson returns it. */
export function isIncrementValue(value: unknown): value is Exact {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 1;
  return typeof value === 'bigint' && value >= 1n && value <= INT64_MAX;
}
