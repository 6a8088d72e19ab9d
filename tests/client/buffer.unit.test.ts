import t, { type Test } from 'tap';
import type { Increment, IncrementOptions } from '../../client/src/main.ts';
import { createBuffer, IncrementMeshError, INT64_MAX } from '../../client/src/main.ts';

const KEY = '86f1fe5b-6dc7-45cb-9837-9e84757f5246';
const OTHER = '5b86f1fe-6dc7-45cb-9837-9e84757f5246';
/** So long that only what is tested sends. */
const NEVER_MS = 1_000_000;

const away = () => new IncrementMeshError('stopping', 'stopping', { retryable: true });
const unknown = () =>
  new IncrementMeshError('no-answer', 'cut', { retryable: true, mayBeStored: true });

void t.test('what is added is summed by key, and one batch is sent', async (t) => {
  const { client, sent, stored } = fakeClient();
  const buffer = createBuffer(client, { maxAgeMs: NEVER_MS });
  for (let count = 0; count < 1_000; count++) buffer.add(count % 2 === 0 ? KEY : OTHER, 2);
  buffer.add(KEY.toUpperCase(), 1n);
  t.equal(sent.length, 0);
  await buffer.close();
  t.equal(sent.length, 1);
  t.strictSame(Object.fromEntries(stored), { [KEY]: 1_001n, [OTHER]: 1_000n });
  t.strictSame(buffer.pending(), []);
});

void t.test('a batch is sent by its age', async (t) => {
  const { client, sent, untilSent } = fakeClient();
  const buffer = createBuffer(client, { maxAgeMs: 5 });
  buffer.add(KEY, 1);
  await untilSent(1);
  t.strictSame(sent[0]?.increments, [{ key: KEY, value: 1n }]);
  buffer.add(KEY, 2);
  await untilSent(2);
  await buffer.close();
});

void t.test('a batch is sent by its size, and never is larger', async (t) => {
  const { client, sent, stored } = fakeClient();
  const maxBytes = 10 * 75 + 2;
  const buffer = createBuffer(client, { maxAgeMs: NEVER_MS, maxBytes });
  for (let count = 0; count < 25; count++) buffer.add(numbered(count), INT64_MAX);
  t.equal(sent.length, 1, 'at once');
  await buffer.flush();
  t.strictSame(
    sent.map(({ increments }) => increments.length),
    [10, 10, 5],
  );
  t.equal(stored.size, 25);
  await buffer.close();
});

void t.test('a sum above the largest value is sent as several increments', async (t) => {
  const { client, sent, stored } = fakeClient();
  const buffer = createBuffer(client, { maxAgeMs: NEVER_MS });
  for (let count = 0; count < 3; count++) buffer.add(KEY, INT64_MAX);
  buffer.add(KEY, 3);
  await buffer.close();
  t.strictSame(
    sent[0]?.increments.map(({ value }) => value),
    [INT64_MAX, INT64_MAX, INT64_MAX, 3n],
  );
  t.equal(stored.get(KEY), 3n * INT64_MAX + 3n);
});

void t.test('one batch is under way at a time, and the rest adds up meanwhile', async (t) => {
  const { client, sent, hold } = fakeClient();
  const release = hold();
  const buffer = createBuffer(client, { maxAgeMs: NEVER_MS });
  buffer.add(KEY, 1);
  const first = buffer.flush();
  for (let count = 0; count < 100; count++) buffer.add(KEY, 1);
  const second = buffer.flush();
  t.equal(sent.length, 1);
  release();
  await first;
  await second;
  t.strictSame(
    sent.map(({ increments }) => increments),
    [[{ key: KEY, value: 1n }], [{ key: KEY, value: 100n }]],
  );
  await buffer.close();
});

void t.test('a batch that failed is sent again as it was, under its idempotency key', async (t) => {
  const { client, sent, stored, fail } = fakeClient();
  fail(unknown, away, unknown);
  const errors: string[] = [];
  const buffer = createBuffer(client, {
    maxAgeMs: NEVER_MS,
    onError: ({ code }) => void errors.push(code),
  });
  buffer.add(KEY, 1);
  await t.rejects(buffer.flush(), { code: 'no-answer' });
  buffer.add(KEY, 5);
  t.strictSame(buffer.pending(), [
    { increments: [{ key: KEY, value: 1n }], idempotencyKey: sent[0]?.idempotencyKey },
    { increments: [{ key: KEY, value: 5n }], idempotencyKey: undefined },
  ]);
  await t.rejects(buffer.flush(), { code: 'stopping' });
  await t.rejects(buffer.flush(), { code: 'no-answer' });
  await buffer.close();
  t.equal(sent.length, 5);
  t.equal(new Set(sent.slice(0, 4).map((each) => JSON.stringify(each, text))).size, 1);
  t.not(sent[4]?.idempotencyKey, sent[0]?.idempotencyKey);
  t.equal(stored.get(KEY), 6n);
  t.strictSame(errors, ['no-answer', 'stopping', 'no-answer']);
});

void t.test('what cannot be sent is tried again by itself', async (t) => {
  const { client, stored, fail, untilSent } = fakeClient();
  fail(away, away);
  const buffer = createBuffer(client, { maxAgeMs: 1 });
  buffer.add(KEY, 1);
  await untilSent(3);
  await buffer.close();
  t.equal(stored.get(KEY), 1n);
});

void t.test('what grows old does not cut short the pause after an error', async (t) => {
  const { client, sent, fail } = fakeClient();
  const random = Math.random;
  t.teardown(() => (Math.random = random));
  Math.random = () => 1;
  fail(away);
  const buffer = createBuffer(client, { maxAgeMs: 1 });
  const startedAt = performance.now();
  buffer.add(KEY, 1);
  while (sent.length < 2) {
    buffer.add(OTHER, 1);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  t.ok(performance.now() - startedAt >= 99);
  await buffer.close();
});

void t.test('a full buffer says so, adds nothing, and loses nothing', async (t) => {
  const { client, sent, stored, hold, fail } = fakeClient();
  fail(away);
  const release = hold();
  const buffer = createBuffer(client, { maxAgeMs: NEVER_MS, maxKeys: 3 });
  for (let count = 0; count < 3; count++) buffer.add(numbered(count), 1);
  t.equal(sent.length, 1, 'a full buffer is sent at once');
  const full = { code: 'buffer-full', retryable: true, mayBeStored: false };
  t.throws(() => buffer.add(KEY, 1), full);
  const room = buffer.whenRoom();
  const impatient = buffer.whenRoom({ signal: AbortSignal.abort() });
  await t.rejects(impatient, { code: 'aborted' });
  release();
  await t.rejects(buffer.flush(), { code: 'stopping' });
  t.throws(() => buffer.add(KEY, 1), { ...full, detail: /stopping/ });
  await buffer.flush();
  await room;
  buffer.add(KEY, 1);
  await buffer.close();
  t.strictSame([...stored.values()], [1n, 1n, 1n, 1n]);
});

void t.test('a key that the full buffer has goes on adding up', async (t) => {
  const { client, stored, hold } = fakeClient();
  const release = hold();
  const buffer = createBuffer(client, { maxAgeMs: NEVER_MS, maxKeys: 2 });
  buffer.add(KEY, 1);
  const flushed = buffer.flush();
  buffer.add(KEY, 1);
  t.throws(() => buffer.add(OTHER, 1), { code: 'buffer-full' });
  buffer.add(KEY, 1);
  release();
  await flushed;
  await buffer.close();
  t.equal(stored.get(KEY), 3n);
});

void t.test('a batch that is too large for the broker is halved', async (t) => {
  const { client, sent, stored, refuseAbove } = fakeClient();
  refuseAbove(3);
  const buffer = createBuffer(client, { maxAgeMs: NEVER_MS });
  for (let count = 0; count < 10; count++) buffer.add(numbered(count), 1);
  await buffer.flush();
  buffer.add(KEY, 1);
  await buffer.close();
  t.equal(stored.size, 11);
  t.ok([...stored.values()].every((value) => value === 1n));
  const keys = sent.map(({ idempotencyKey }) => idempotencyKey);
  t.equal(new Set(keys).size, keys.length, 'another payload has another key');
});

void t.test('a batch that may be stored is not halved', async (t) => {
  const { client, fail } = fakeClient();
  const tooLarge = new IncrementMeshError('body-too-large', '', { status: 413, mayBeStored: true });
  fail(() => tooLarge);
  const buffer = createBuffer(client, { maxAgeMs: NEVER_MS });
  buffer.add(KEY, 1);
  buffer.add(OTHER, 1);
  await t.rejects(buffer.flush(), { code: 'body-too-large' });
  t.equal(buffer.pending().length, 1);
  await buffer.close();
});

void t.test('a batch that may be stored is not sent after its idempotency key', async (t) => {
  const { client, sent, fail } = fakeClient();
  fail(unknown, unknown);
  const buffer = createBuffer(client, { maxAgeMs: NEVER_MS });
  buffer.add(KEY, 1);
  await t.rejects(buffer.flush(), { code: 'no-answer' });
  moveClock(t, 22 * 3_600_000);
  await t.rejects(buffer.flush(), { code: 'no-answer' });
  moveClock(t, 2 * 3_600_000);
  const expired = { code: 'idempotency-key-expired', mayBeStored: true };
  await t.rejects(buffer.flush(), expired);
  t.equal(sent.length, 2);
  t.throws(() => buffer.add(KEY, 1), expired);
  await t.rejects(buffer.whenRoom(), expired);
  await t.rejects(buffer.close(), expired);
  const { idempotencyKey } = sent[0] ?? {};
  t.strictSame(buffer.pending(), [{ increments: [{ key: KEY, value: 1n }], idempotencyKey }]);
});

void t.test('a batch that is not stored for certain has no such end', async (t) => {
  const { client, stored, fail } = fakeClient();
  fail(away);
  const buffer = createBuffer(client, { maxAgeMs: NEVER_MS });
  buffer.add(KEY, 1);
  await t.rejects(buffer.flush(), { code: 'stopping' });
  moveClock(t, 48 * 3_600_000);
  await buffer.close();
  t.equal(stored.get(KEY), 1n);
});

void t.test(
  'close() that fails stops sending, and says what is left; it can be called again',
  async (t) => {
    const { client, sent, stored, hold } = fakeClient();
    hold();
    const buffer = createBuffer(client, { maxAgeMs: NEVER_MS });
    buffer.add(KEY, 1);
    const ending = new AbortController();
    const flushed = buffer.flush();
    const closed = buffer.close({ signal: ending.signal });
    ending.abort(new Error('enough'));
    await t.rejects(closed, { code: 'aborted', detail: /enough/ });
    await t.rejects(flushed, { code: 'aborted' }, 'nobody waits for what is not sent');
    const idempotencyKey = sent[0]?.idempotencyKey;
    t.strictSame(buffer.pending(), [{ increments: [{ key: KEY, value: 1n }], idempotencyKey }]);
    t.throws(() => buffer.add(KEY, 1), { code: 'buffer-closed' });
    await t.rejects(buffer.whenRoom(), { code: 'buffer-closed' });
    await t.rejects(buffer.flush(), { code: 'buffer-closed' });
    await buffer.close();
    t.equal(sent[1]?.idempotencyKey, idempotencyKey);
    t.equal(stored.get(KEY), 1n);
    await buffer.close();
  },
);

void t.test('a wrong increment and a wrong option are refused at once', (t) => {
  const { client } = fakeClient();
  const code = 'invalid-argument';
  const buffer = createBuffer(client);
  t.throws(() => buffer.add('x', 1), { code });
  t.throws(() => buffer.add(KEY, 0), { code });
  t.strictSame(buffer.pending(), []);
  for (const options of [
    { maxKeys: 0 },
    { maxAgeMs: -1 },
    { maxAgeMs: 2 ** 31 },
    { maxBytes: 76 },
    { maxBytes: 2 ** 20 + 1 },
    { maxKeys: Number.NaN },
  ]) {
    t.throws(() => createBuffer(client, options), { code }, JSON.stringify(options));
  }
  t.end();
});

interface Batch {
  increments: Increment[];
  idempotencyKey: string | undefined;
}

/** A client whose gateway stores each idempotency key once, fails as it is told, and can be held up. */
function fakeClient() {
  const sent: Batch[] = [];
  const stored = new Map<string, bigint>();
  const failures: (() => IncrementMeshError)[] = [];
  let held: Promise<void> | undefined;
  let most = Infinity;

  async function incrementMany(
    increments: readonly Increment[],
    { idempotencyKey, signal }: IncrementOptions = {},
  ) {
    sent.push({ increments: [...increments], idempotencyKey });
    const aborted = new Promise<never>((_resolve, reject) => {
      signal?.addEventListener('abort', () => {
        held = undefined;
        reject(new IncrementMeshError('aborted', 'aborted', { mayBeStored: true }));
      });
    });
    // Also of what is over.
    aborted.catch(() => undefined);
    if (held !== undefined) await Promise.race([held, aborted]);
    const failure = failures.shift();
    if (failure !== undefined) throw failure();
    if (increments.length > most) {
      throw new IncrementMeshError('body-too-large', '', { status: 413 });
    }
    for (const { key, value } of increments) {
      stored.set(key, (stored.get(key) ?? 0n) + BigInt(value));
    }
    return { accepted: 1, id: '', sequence: 1, replayed: false, idempotencyKey: '' };
  }

  return {
    client: { incrementMany },
    sent,
    stored,
    fail: (...errors: (() => IncrementMeshError)[]) => void failures.push(...errors),
    refuseAbove: (increments: number) => void (most = increments),
    hold: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      held = promise;
      return () => {
        held = undefined;
        resolve();
      };
    },
    untilSent: async (count: number) => {
      while (sent.length < count) await new Promise((resolve) => setTimeout(resolve, 1));
    },
  };
}

function moveClock(t: Test, ms: number): void {
  const { now } = Date;
  Date.now = () => now() + ms;
  t.teardown(() => (Date.now = now));
}

function numbered(number: number): string {
  return `86f1fe5b-6dc7-45cb-9837-${String(number).padStart(12, '0')}`;
}

function text(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
