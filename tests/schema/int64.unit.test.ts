import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import {
  addExact,
  digitsUpTo,
  exactOf,
  INT64_MAX,
  isIncrementValue,
  parseExactJson,
  stringifyExactJson,
} from '../../schema/int64.ts';
import { SEED } from '../support/seed.ts';

fc.configureGlobal({ seed: SEED });

/** What a reader of JSON may trip over. */
const character = fc.constantFrom(...Array.from('a0é中😀 "\\{}[]:,.-+eE\n\0'));

const int64 = fc.bigInt({ min: -(2n ** 63n), max: INT64_MAX });

void t.test('a number is read with every digit', (t) => {
  fc.assert(
    fc.property(int64, (value) => {
      const parsed = parseExactJson(`{"value": ${value}}`) as { value: number | bigint };
      return BigInt(parsed.value) === value;
    }),
  );
  t.end();
});

void t.test('a number is read with every digit wherever it stands', (t) => {
  const exact = 9_007_199_254_740_993n;
  for (const text of ['9007199254740993', '\n 9007199254740993'])
    t.equal(parseExactJson(text), exact);
  for (const text of ['[1,\t9007199254740993]', '[ 1 ,9007199254740993]']) {
    t.strictSame(parseExactJson(text), [1, exact]);
  }
  t.strictSame(parseExactJson('[[-9007199254740993],{"a" :\r\n9007199254740993}]'), [
    [-exact],
    { a: exact },
  ]);
  t.end();
});

void t.test('JSON without large or broken numbers is read as JSON.parse reads it', (t) => {
  fc.assert(
    fc.property(fc.json({ stringUnit: character }), (text) => {
      const plain = JSON.parse(text) as unknown;
      const hasOnlySafeIntegers = !/\d[.eE]|\d{16}/.test(text);
      return !hasOnlySafeIntegers || isDeepStrictEqual(parseExactJson(text), plain);
    }),
  );
  t.end();
});

void t.test('a literal that is not an integer literal is no increment', (t) => {
  for (const literal of ['1.0', '1e3', '1E3', '1.5', '-1', '0', '9223372036854775808', '1e400']) {
    const { value } = parseExactJson(`{"value":${literal}}`) as { value: unknown };
    t.equal(isIncrementValue(value), false, literal);
  }
  t.end();
});

void t.test('what was read is written as it was', (t) => {
  const text = '{"a":[1.0,1e3,-0.5],"b":9223372036854775808,"c":"1.0"}';
  t.equal(stringifyExactJson(parseExactJson(text)), text);
  t.end();
});

void t.test('sums are exact, whatever the order and size', (t) => {
  t.equal(addExact(Number.MAX_SAFE_INTEGER, 2), 2n ** 53n + 1n, 'of two plain numbers too');
  fc.assert(
    fc.property(fc.array(fc.bigInt({ min: 1n, max: INT64_MAX }), { maxLength: 50 }), (values) => {
      const asParsed = values.map((value) =>
        value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value,
      );
      const sum = asParsed.reduce(addExact, 0);
      return BigInt(sum) === values.reduce((left, right) => left + right, 0n);
    }),
  );
  t.end();
});

void t.test('strings of digits are those of the integers from 1 to a maximum', (t) => {
  for (const max of [10n, 99n, 255n, 1_000n]) {
    const pattern = new RegExp(digitsUpTo(max));
    const matched = Array.from({ length: 2_000 }, (_, value) => String(value)).filter((digits) =>
      pattern.test(digits),
    );
    t.strictSame([matched.length, matched[0], matched.at(-1)], [Number(max), '1', String(max)]);
  }
  const pattern = new RegExp(digitsUpTo(INT64_MAX));
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n }), (value) => {
      const isIn = value >= 1n && value <= INT64_MAX;
      return pattern.test(String(value)) === isIn && BigInt(exactOf(String(value))) === value;
    }),
  );
  t.end();
});
