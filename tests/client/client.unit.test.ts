import t from 'tap';
import { createClient } from '../../client/src/main.ts';
import { accepted, fakeGateway, problem } from './fake-gateway.ts';

const url = 'http://gateway/';
const KEY = '86f1fe5b-6dc7-45cb-9837-9e84757f5246';
const UPDATED = '2026-11-23T08:47:44.642Z';

void t.test(
  'an increment has an idempotency key of its own, and keeps it in every attempt',
  async (t) => {
    const { fetch, sent } = fakeGateway(() => problem(503, 'stopping'), accepted);
    const { increment } = createClient({ url, apiKey: 'imk_x', fetch });
    const answer = await increment(KEY, 5n);
    await increment(KEY, 5n);
    const keys = sent.map(({ headers }) => headers['idempotency-key'] ?? '');
    t.equal(keys[0], `"${answer.idempotencyKey}"`);
    t.equal(keys[1], keys[0], 'kept');
    t.not(keys[2], keys[0], 'another for the next call');
    t.match(sent[0], {
      url: 'http://gateway/increment',
      method: 'POST',
      headers: { authorization: 'Bearer imk_x', 'content-type': 'application/json' },
      body: `{"key":"${KEY}","value":5}`,
    });
    t.match(answer, { accepted: 1, sequence: 14, replayed: false });
  },
);

void t.test('a caller’s own idempotency key is quoted', async (t) => {
  const { fetch, sent } = fakeGateway(accepted);
  const { incrementMany } = createClient({ url: 'https://gateway/counting/', fetch });
  await incrementMany([{ key: KEY, value: 1 }], { idempotencyKey: 'a"b\\c' });
  t.equal(sent[0]?.headers['idempotency-key'], '"a\\"b\\\\c"');
  t.equal(sent[0]?.url, 'https://gateway/counting/increments');
  for (const idempotencyKey of ['', 'two words', 'k'.repeat(256), 'ä']) {
    const bad = incrementMany([{ key: KEY, value: 1 }], { idempotencyKey });
    await t.rejects(bad, { code: 'invalid-argument' });
  }
  t.equal(sent.length, 1);
});

void t.test('a total of any size is read exactly', async (t) => {
  const counter = { key: KEY, value: '123456789012345678901234567890', updated_at: UPDATED };
  const plain = fakeGateway(() => Response.json(counter));
  t.strictSame(await createClient({ url, fetch: plain.fetch }).read(KEY), {
    key: KEY,
    value: 123456789012345678901234567890n,
    updatedAt: new Date(UPDATED),
    completeThrough: null,
    completeSequence: null,
  });
  t.equal(plain.sent[0]?.url, `http://gateway/counters/${KEY}`);

  const known = fakeGateway(() =>
    Response.json({ ...counter, complete_through: UPDATED, complete_sequence: 14 }),
  );
  const { read } = createClient({ url, fetch: known.fetch });
  t.match(await read(KEY), { completeThrough: new Date(UPDATED), completeSequence: 14 });
  const unknown = fakeGateway(() => Response.json({ ...counter, complete_through: null }));
  t.match(await createClient({ url, fetch: unknown.fetch }).read(KEY), { completeThrough: null });
  const wrong = fakeGateway(() => Response.json({ ...counter, value: 12 }));
  await t.rejects(createClient({ url, fetch: wrong.fetch }).read(KEY), {
    code: 'unexpected-answer',
    mayBeStored: false,
  });
});

void t.test('a counter that was never counted is 0', async (t) => {
  const { fetch } = fakeGateway(() => problem(404, 'no-such-counter'));
  const counter = await createClient({ url, fetch }).read(KEY.toUpperCase());
  t.strictSame(counter, {
    key: KEY,
    value: 0n,
    updatedAt: null,
    completeThrough: null,
    completeSequence: null,
  });
  const elsewhere = fakeGateway(() => problem(404, 'no-such-route'));
  const missing = createClient({ url, fetch: elsewhere.fetch }).read(KEY);
  await t.rejects(missing, { code: 'no-such-route' });
});

void t.test('several totals are read in the order of the keys', async (t) => {
  const other = '5b86f1fe-6dc7-45cb-9837-9e84757f5246';
  const counters = [
    { key: KEY, value: '7', updated_at: UPDATED },
    { key: other, value: '0', updated_at: null },
  ];
  const { fetch, sent } = fakeGateway(() => Response.json({ counters, complete_through: UPDATED }));
  const { readMany } = createClient({ url, fetch });
  const completeThrough = new Date(UPDATED);
  t.strictSame(await readMany([KEY, other]), [
    { key: KEY, value: 7n, updatedAt: new Date(UPDATED), completeThrough, completeSequence: null },
    { key: other, value: 0n, updatedAt: null, completeThrough, completeSequence: null },
  ]);
  t.equal(sent[0]?.url, `http://gateway/counters?key=${KEY}&key=${other}`);
  await t.rejects(readMany([]), { code: 'invalid-argument' });
  const many = readMany(Array.from({ length: 101 }, () => KEY));
  await t.rejects(many, { code: 'invalid-argument' });
});

void t.test('a read says what it must hold, and how long it waits for that', async (t) => {
  const counter = { key: KEY, value: '7', updated_at: UPDATED };
  const { fetch, sent } = fakeGateway(() => Response.json(counter));
  const { read } = createClient({ url, fetch });
  await read(KEY, { atLeast: 14, waitSeconds: 10 });
  await read(KEY, { atLeast: new Date(UPDATED) });
  const [first, second] = sent;
  t.equal(first?.url, `http://gateway/counters/${KEY}?at_least=14`);
  t.equal(first?.headers['prefer'], 'wait=10');
  t.equal(second?.url, `http://gateway/counters/${KEY}?at_least=2026-11-23T08%3A47%3A44.642Z`);
  t.notOk(second !== undefined && 'prefer' in second.headers);
  for (const options of [
    { atLeast: -1 },
    { atLeast: new Date('never') },
    { waitSeconds: 1.5 },
    { waitSeconds: -1 },
    { waitSeconds: 31 },
    { deadlineMs: 0 },
  ]) {
    await t.rejects(read(KEY, options), { code: 'invalid-argument' }, JSON.stringify(options));
  }
  t.equal(sent.length, 2);
});

void t.test(
  'a read that is not yet complete is not repeated, for the caller said how long to wait',
  async (t) => {
    const { fetch, sent } = fakeGateway(() => problem(504, 'not-yet-complete'));
    const reading = createClient({ url, fetch }).read(KEY, { atLeast: 14, waitSeconds: 1 });
    const expected = { code: 'not-yet-complete', status: 504, retryable: true, mayBeStored: false };
    await t.rejects(reading, expected);
    t.equal(sent.length, 1);
  },
);

void t.test('a wrong option is refused when the client is made', (t) => {
  const code = 'invalid-argument';
  for (const wrong of [
    '',
    'gateway:3000',
    'ftp://gateway',
    'http://me:secret@gateway',
    `${url}?x`,
  ]) {
    t.throws(() => createClient({ url: wrong }), { code }, wrong);
  }
  t.throws(() => createClient({ url, apiKey: 'imk_x\n' }), { code });
  t.throws(() => createClient({ url, timeoutMs: 0 }), { code });
  t.throws(() => createClient({ url, deadlineMs: Number.NaN }), { code });
  t.throws(() => createClient({ url, deadlineMs: 3_600_001 }), { code });
  t.end();
});
