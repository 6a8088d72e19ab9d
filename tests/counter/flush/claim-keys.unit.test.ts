import t from 'tap';
import {
  firstOfEachKey,
  judge,
  readClaims,
  rememberedFrom,
} from '../../../counter/flush/claim-keys.ts';
import { storedPart } from '../../../counter/flush/idempotency-keys.ts';
import type { HeldMessage } from '../../../counter/consume/flush-batch.ts';
import type { Increment } from '../../../schema/increment.ts';

const KEY = '86f1fe5b-6dc7-45cb-9837-9e84757f5246';

function messageOf(increments: Increment[], { batchKey = '', subject = 'increments.http' } = {}) {
  const envelope = { id: '', increments, ...(batchKey !== '' && { idempotency_key: batchKey }) };
  const body = { subject, text: '', envelope, rejected: [] };
  return { storedAtMs: 0, body } as unknown as HeldMessage;
}

const increment = (value: number, idempotencyKey?: string): Increment => ({
  key: KEY,
  value,
  ...(idempotencyKey !== undefined && { idempotency_key: idempotencyKey }),
});

/** @param before messages that were counted earlier. */
function judgeAll(messages: HeldMessage[], before: HeldMessage[] = []) {
  const earlier = readClaims(before).claims;
  const payloads = new Map(
    earlier.map(({ key, payload }) => [storedPart(key), storedPart(payload)]),
  );
  const { messages: judged, claims } = readClaims(messages);
  const keys = new Set(claims.map(({ key }) => storedPart(key)));
  judge(claims, firstOfEachKey(claims), new Map([...payloads].filter(([key]) => keys.has(key))));
  return judged.map(({ counted, repeated, reused }) => [
    counted.map(({ value }) => value),
    repeated,
    reused.length,
  ]);
}

void t.test('an idempotency key counts the first payload once', (t) => {
  t.strictSame(judgeAll([messageOf([increment(1), increment(2)])]), [[[1, 2], 0, 0]], 'no keys');
  t.strictSame(
    judgeAll([messageOf([increment(1, 'a'), increment(1, 'a'), increment(2, 'a'), increment(3)])]),
    [[[3, 1], 1, 1]],
    'within a message: the first, a repeat, another payload, one without a key',
  );
  t.strictSame(
    judgeAll([messageOf([increment(1, 'a')]), messageOf([increment(1, 'a')])]),
    [
      [[1], 0, 0],
      [[], 1, 0],
    ],
    'over the messages of a batch',
  );
  const before = [messageOf([increment(1, 'a')])];
  t.strictSame(judgeAll([messageOf([increment(1, 'a')])], before), [[[], 1, 0]], 'before');
  t.strictSame(judgeAll([messageOf([increment(2, 'a')])], before), [[[], 0, 1]], 'reused');
  t.end();
});

void t.test('a batch has one key for all of it', (t) => {
  const two = [increment(1), increment(2)];
  const first = messageOf(two, { batchKey: 'a' });
  t.strictSame(judgeAll([first]), [[[1, 2], 0, 0]]);
  t.strictSame(judgeAll([messageOf(two, { batchKey: 'a' })], [first]), [[[], 2, 0]]);
  t.strictSame(judgeAll([messageOf([increment(1)], { batchKey: 'a' })], [first]), [[[], 0, 1]]);
  t.end();
});

void t.test('a key of one source means nothing to another', (t) => {
  const before = [messageOf([increment(1, 'a')])];
  const other = messageOf([increment(1, 'a')], { subject: 'increments.replay' });
  t.strictSame(judgeAll([other], before), [[[1], 0, 0]]);
  t.end();
});

void t.test('no idempotency key is forgotten early', (t) => {
  const storedAt = (storedAtMs: number, unparkedAtMs?: number) =>
    ({ storedAtMs, ...(unparkedAtMs !== undefined && { unparkedAtMs }) }) as HeldMessage;
  t.equal(rememberedFrom([storedAt(1), storedAt(3), storedAt(2)]), 3, 'the latest of a flush');
  t.equal(rememberedFrom([storedAt(1, 5), storedAt(3)]), 5, 'parked: from when it counts');
  t.end();
});
