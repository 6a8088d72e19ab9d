import fc from 'fast-check';
import t from 'tap';
import { addToSums, takeFromSums, type Sums } from '../../client/src/sums.ts';
import { INT64_MAX } from '../../schema/int64.ts';

void t.test('batches hold exactly what was added, however large the sums are', (t) => {
  const addition = fc.record({
    key: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    value: fc.oneof(fc.bigInt({ min: 1n, max: 9n }), fc.constant(INT64_MAX)),
  });
  fc.assert(
    fc.property(fc.array(addition), fc.integer({ min: 1, max: 4 }), (additions, most) => {
      const sums: Sums = new Map();
      const expected = new Map<string, bigint>();
      for (const { key, value } of additions) {
        addToSums(sums, key, value);
        expected.set(key, (expected.get(key) ?? 0n) + value);
      }
      const sent = new Map<string, bigint>();
      let keys = 0;
      while (sums.size > 0) {
        const taken = takeFromSums(sums, most);
        keys += taken.keys;
        if (taken.increments.length === 0 || taken.increments.length > most) return false;
        for (const { key, value } of taken.increments) {
          if (BigInt(value) < 1n || BigInt(value) > INT64_MAX) return false;
          sent.set(key, (sent.get(key) ?? 0n) + BigInt(value));
        }
      }
      t.strictSame(sent, expected);
      return keys === expected.size;
    }),
  );
  t.end();
});

void t.test('the oldest keys are taken first, and the rest of a sum keeps its place', (t) => {
  const sums: Sums = new Map();
  addToSums(sums, 'old', INT64_MAX + 5n);
  addToSums(sums, 'new', 1n);
  t.strictSame(takeFromSums(sums, 1), { increments: [{ key: 'old', value: INT64_MAX }], keys: 0 });
  addToSums(sums, 'old', 1n);
  t.strictSame(takeFromSums(sums, 5), {
    increments: [
      { key: 'old', value: 6n },
      { key: 'new', value: 1n },
    ],
    keys: 2,
  });
  t.end();
});
