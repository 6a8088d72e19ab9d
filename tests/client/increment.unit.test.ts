import fc from 'fast-check';
import t from 'tap';
import { encodeBatch, encodeIncrement, INCREMENT_BYTES_MAX } from '../../client/src/increment.ts';
import { INT64_MAX, parseExactJson } from '../../schema/int64.ts';

const KEY = '86f1fe5b-6dc7-45cb-9837-9e84757f5246';

void t.test('every int64 is sent with all its digits, from a bigint and from a number', (t) => {
  fc.assert(
    fc.property(fc.uuid(), fc.bigInt({ min: 1n, max: INT64_MAX }), (key, value) => {
      const sent = parseExactJson(encodeIncrement({ key, value })) as {
        key: string;
        value: number | bigint;
      };
      return sent.key === key && BigInt(sent.value) === value;
    }),
  );
  t.equal(encodeIncrement({ key: KEY, value: 5 }), `{"key":"${KEY}","value":5}`);
  t.equal(encodeIncrement({ key: KEY, value: 2 ** 53 - 1 }).includes('9007199254740991'), true);
  const largest = encodeIncrement({ key: KEY, value: INT64_MAX });
  t.equal(`${largest},`.length, INCREMENT_BYTES_MAX);
  t.end();
});

void t.test(
  'what a gateway would refuse is refused before it is sent, and says what is wrong',
  (t) => {
    const code = 'invalid-argument';
    const refused = (key: unknown, value: unknown) => () =>
      encodeIncrement({ key: key as string, value: value as number });
    for (const value of [0, -1, 1.5, Number.NaN, 0n, -1n, 2n ** 63n, '5', null, undefined, {}]) {
      t.throws(refused(KEY, value), { code, detail: /^the value must be/ });
    }
    t.throws(refused(KEY, 2 ** 53), { code, detail: /pass a bigint/ });
    t.throws(refused(KEY, '5'), { code, detail: /it is "5"$/ });
    for (const key of ['', 'x', KEY.slice(1), `${KEY}"`, '0'.repeat(1_000), 5, null]) {
      t.throws(refused(key, 1), { code, detail: /^the key must be a UUID/ }, String(key));
    }
    t.throws(refused('00000000-0000-0000-0000-000000000000', 1), { code });
    t.doesNotThrow(refused(KEY.toUpperCase(), 1));
    t.end();
  },
);

void t.test('a batch names its first bad increment, and has 1 to 10 000', (t) => {
  const good = { key: KEY, value: 1 };
  t.equal(encodeBatch([good, good]), `[${encodeIncrement(good)},${encodeIncrement(good)}]`);
  t.throws(() => encodeBatch([good, { key: KEY, value: 0 }]), {
    code: 'invalid-argument',
    detail: /^increment 1 of the batch: the value must be/,
  });
  t.throws(() => encodeBatch([]), { code: 'invalid-argument' });
  t.doesNotThrow(() => encodeBatch(Array.from({ length: 10_000 }, () => good)));
  t.throws(() => encodeBatch(Array.from({ length: 10_001 }, () => good)), {
    code: 'invalid-argument',
    detail: /10001/,
  });
  t.end();
});
