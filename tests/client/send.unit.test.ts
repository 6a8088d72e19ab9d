import t from 'tap';
import { send, type Call, type Clock } from '../../client/src/send.ts';
import { accepted, fakeGateway, problem } from './fake-gateway.ts';

void t.test('an unknown outcome is repeated without a change, after a pause', async (t) => {
  const clock = fakeClock();
  const { fetch, sent } = fakeGateway(
    () => problem(503, 'outcome-unknown', { retryAfter: '1' }),
    () => new TypeError('fetch failed'),
    () => problem(429, 'rate-limited', { retryAfter: '3' }),
    accepted,
  );
  await send(callOf(fetch), clock);
  t.equal(sent.length, 4);
  t.equal(new Set(sent.map((each) => JSON.stringify(each))).size, 1, 'all are the same');
  t.strictSame(clock.pauses, [1_100, 200, 3_400]);
});

void t.test('what no repeat would change is not repeated', async (t) => {
  for (const [status, code] of [
    [400, 'invalid-request'],
    [401, 'unauthorized'],
    [413, 'body-too-large'],
    [422, 'idempotency-key-reused'],
  ] as const) {
    const { fetch, sent } = fakeGateway(() => problem(status, code));
    const facts = { code, status, retryable: false, mayBeStored: false, idempotencyKey: 'k' };
    await t.rejects(send(callOf(fetch), fakeClock()), facts);
    t.equal(sent.length, 1, code);
  }
});

void t.test('a refusal after an unknown outcome says that it may be stored', async (t) => {
  const { fetch } = fakeGateway(
    () => new TypeError('fetch failed'),
    () => problem(401, 'unauthorized'),
  );
  const expected = { code: 'unauthorized', retryable: false, mayBeStored: true };
  await t.rejects(send(callOf(fetch), fakeClock()), expected);
});

void t.test('a success that is not a gateway’s is no success', async (t) => {
  for (const make of [() => new Response('<html>Log in</html>'), () => Response.json({})]) {
    const { fetch, sent } = fakeGateway(make);
    const expected = { code: 'unexpected-answer', status: 200, mayBeStored: true };
    await t.rejects(send(callOf(fetch), fakeClock()), expected);
    t.equal(sent.length, 1);
  }
});

void t.test(
  'a call gives up at its deadline, and at once where Retry-After is later',
  async (t) => {
    const clock = fakeClock();
    const stopping = fakeGateway(() => problem(503, 'stopping'));
    const expected = { code: 'stopping', retryable: true, mayBeStored: false, detail: /1000 ms/ };
    await t.rejects(send({ ...callOf(stopping.fetch), deadlineMs: 1_000 }, clock), expected);
    t.equal(stopping.sent.length, 4);
    t.ok(clock.now() < 1_000);

    const limited = fakeGateway(() => problem(429, 'rate-limited', { retryAfter: '30' }));
    const call = { ...callOf(limited.fetch), deadlineMs: 10_000 };
    await t.rejects(send(call, fakeClock()), { code: 'rate-limited', detail: /30000 ms/ });
    t.equal(limited.sent.length, 1);
  },
);

void t.test('a caller ends a call in a pause and in an attempt', async (t) => {
  const before = fakeGateway(accepted);
  const signal = AbortSignal.abort(new Error('enough'));
  const aborted = { code: 'aborted', detail: /enough/, cause: signal.reason };
  const neverSent = send({ ...callOf(before.fetch), signal });
  await t.rejects(neverSent, { ...aborted, mayBeStored: false });
  t.equal(before.sent.length, 0);

  const ending = new AbortController();
  const { fetch, sent } = fakeGateway(() => {
    ending.abort(new Error('enough'));
    return new TypeError('fetch failed');
  });
  const unknown = send({ ...callOf(fetch), signal: ending.signal });
  await t.rejects(unknown, { code: 'aborted', detail: /enough/, mayBeStored: true });
  t.equal(sent.length, 1);
});

void t.test('an attempt without an answer ends, and is repeated', async (t) => {
  let attempts = 0;
  const fetch: Call<unknown>['fetch'] = (_url, { signal }) =>
    ++attempts > 1
      ? Promise.resolve(accepted())
      : new Promise((_resolve, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason as Error));
        });
  await send({ ...callOf(fetch), timeoutMs: 10 }, fakeClock());
  t.equal(attempts, 2);
});

void t.test('nothing is sent again where the machine slept past the deadline', async (t) => {
  // Meanwhile a gateway forgets the idempotency key, and the clock of the deadline stands still.
  for (const sleptIn of ['an attempt', 'a pause']) {
    const clock = fakeClock();
    const { fetch, sent } = fakeGateway(() => {
      if (sleptIn === 'an attempt') clock.sleepMachine(25 * 3_600_000);
      return new TypeError('fetch failed');
    }, accepted);
    const { sleep } = clock;
    clock.sleep = async (ms) => {
      if (sleptIn === 'a pause') clock.sleepMachine(25 * 3_600_000);
      await sleep(ms);
    };
    const expected = { code: 'no-answer', retryable: true, mayBeStored: true, idempotencyKey: 'k' };
    await t.rejects(send(callOf(fetch), clock), expected, sleptIn);
    t.equal(sent.length, 1, sleptIn);
  }
});

function callOf(fetch: Call<unknown>['fetch']): Call<unknown> {
  return {
    fetch,
    url: 'http://gateway/increment',
    method: 'POST',
    headers: {},
    body: '{}',
    timeoutMs: 10_000,
    deadlineMs: 60_000,
    idempotencyKey: 'k',
    read: (body) => (body as { accepted?: number } | undefined)?.accepted,
  };
}

/** Time that passes only in pauses, which are as long as they can be. */
function fakeClock(): Clock & { pauses: number[]; sleepMachine: (ms: number) => void } {
  let now = 0;
  let slept = 0;
  const pauses: number[] = [];
  return {
    pauses,
    now: () => now,
    date: () => now + slept,
    sleepMachine: (ms) => (slept += ms),
    random: () => 1,
    sleep: (ms) => {
      pauses.push(ms);
      now += ms;
      return Promise.resolve();
    },
  };
}
