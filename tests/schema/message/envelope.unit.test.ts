import { randomUUIDv7 } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import {
  decodeEnvelope,
  encodeEnvelope,
  encodeIncrement,
  NewerEnvelope,
  UnacceptableEnvelope,
} from '../../../schema/message/envelope.ts';
import { mintedAt } from '../../../schema/message/message-id.ts';
import type { Increment } from '../../../schema/increment.ts';
import { INT64_MAX } from '../../../schema/int64.ts';
import { SEED } from '../../support/seed.ts';

fc.configureGlobal({ seed: SEED });

const increment = fc.record<Increment>(
  {
    key: fc.uuid(),
    value: fc
      .bigInt({ min: 1n, max: INT64_MAX })
      .map((value) => (value <= 9007199254740991n ? Number(value) : value)),
    idempotency_key: fc
      .string({ minLength: 1, maxLength: 100 })
      .map((text) => text.replace(/[^\x21-\x7e]/g, 'x')),
  },
  { requiredKeys: ['key', 'value'] },
);

void t.test('what is encoded is decoded again', (t) => {
  fc.assert(
    fc.property(fc.array(increment, { minLength: 1, maxLength: 20 }), (increments) => {
      const id = randomUUIDv7();
      const { envelope, rejected } = decodeEnvelope(
        encodeEnvelope(id, increments.map(encodeIncrement)),
      );
      t.strictSame(rejected, []);
      t.equal(envelope.id, id);
      t.strictSame(
        envelope.increments,
        increments.map((each) => ({ ...each })),
      );
    }),
  );
  t.end();
});

void t.test('one bad increment does not cost its neighbours', (t) => {
  const good = encodeIncrement({ key: '0f8fad5b-d9cb-469f-a165-70867728950e', value: 1 });
  const bad = [
    '{}',
    'null',
    '5',
    '{"key":"x","value":1}',
    good.replace('1}', '0}'),
    good.replace('}', ',"x":1}'),
  ];
  const { envelope, rejected } = decodeEnvelope(
    encodeEnvelope(
      randomUUIDv7(),
      bad.flatMap((each) => [good, each]),
    ),
  );
  t.equal(envelope.increments.length, bad.length);
  t.strictSame(
    rejected.map(({ index, reason }) => [index, reason]),
    [
      [1, 'bad-key'],
      [3, 'wrong-shape'],
      [5, 'wrong-shape'],
      [7, 'bad-key'],
      [9, 'bad-value'],
      [11, 'wrong-shape'],
    ],
  );
  t.end();
});

void t.test('any text is decoded, refused with a reason or left to a newer counter', (t) => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.jsonValue().map((value) => JSON.stringify(value)),
      ),
      (text) => {
        try {
          decodeEnvelope(text);
        } catch (error) {
          return error instanceof UnacceptableEnvelope || error instanceof NewerEnvelope;
        }
        return true;
      },
    ),
  );
  const id = randomUUIDv7();
  t.throws(() => decodeEnvelope('{"version":2,"anything":true}'), NewerEnvelope);
  const readId = (text: string) => (t.throws(() => decodeEnvelope(text)) as NewerEnvelope).id;
  t.equal(readId(`{"version":7,"id":"${id}"}`), id);
  t.equal(readId('{"version":7,"id":"7"}'), undefined);
  t.throws(() => decodeEnvelope('{"version":0}'), UnacceptableEnvelope);
  t.end();
});

void t.test('the time of an id is when it was made', (t) => {
  t.ok(Math.abs(mintedAt(randomUUIDv7()) - Date.now()) < 1_000);
  t.end();
});
