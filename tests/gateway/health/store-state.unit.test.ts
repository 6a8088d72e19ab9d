import t from 'tap';
import {
  afterFailure,
  afterOthersStored,
  afterStored,
  createStoreState,
  findStoreProblem,
  isSendingUseless,
  probeDueAt,
  type StoreState,
} from '../../../gateway/health/store-state.ts';
import type { StoreFailure } from '../../../nats/error-codes.ts';

const failed = (failure: StoreFailure, now: number, state = createStoreState(0)) =>
  afterFailure(state, { failure, detail: 'detail', now });
const problemAt = (state: StoreState, now: number, isBrokerSilent = false) =>
  findStoreProblem(state, { now, isBrokerSilent })?.failure;

void t.test('a failure is a problem at once, or if nothing is stored for a while', (t) => {
  for (const [failure, graceMs] of [
    ['full', 0],
    ['refused', 0],
    ['denied', 0],
    ['failed', 1_000],
    ['silent', 2_000],
    ['away', 3_000],
  ] as const) {
    const state = failed(failure, 10_000);
    if (graceMs > 0) t.equal(problemAt(state, 9_999 + graceMs), undefined, failure);
    t.equal(problemAt(state, 10_000 + graceMs), failure);
  }
  t.end();
});

void t.test('a later failure of another kind does not begin anew', (t) => {
  const state = failed('silent', 1_000, failed('away', 0));
  t.equal(problemAt(state, 2_000), 'silent');
  t.end();
});

void t.test('the next success ends it', (t) => {
  t.equal(problemAt(afterStored(20_000), 30_000), undefined);
  t.end();
});

void t.test("another gateway's success postpones the probe and ends no trouble", (t) => {
  t.equal(probeDueAt(afterOthersStored(createStoreState(0), 3_000), 0), 8_000);
  t.equal(problemAt(afterOthersStored(failed('full', 0), 3_000), 3_000), 'full');
  t.end();
});

void t.test('a silent broker is told from a stream that does not acknowledge', (t) => {
  t.equal(problemAt(createStoreState(0), 4_000, true), 'broker-silent', 'without traffic');
  t.equal(problemAt(afterStored(2_000), 4_000, true), undefined, 'it has just answered');
  t.equal(problemAt(failed('silent', 1_000), 4_000, true), 'broker-silent');
  t.equal(problemAt(failed('denied', 1_000), 4_000, true), 'denied', 'this was an answer');
  t.end();
});

void t.test('it probes seldom while all is well, often at first, then ever less', (t) => {
  t.equal(probeDueAt(createStoreState(1_000), 0), 6_000);
  const state = failed('silent', 1_000);
  t.equal(probeDueAt(state, 1_000), 1_500);
  t.equal(probeDueAt(state, 9_000), 11_000);
  t.equal(probeDueAt(state, 3_600_000), 3_605_000);
  t.end();
});

void t.test('nothing is sent whose outcome would be unknown for certain', (t) => {
  const isUseless = (failure: StoreFailure) =>
    isSendingUseless(findStoreProblem(failed(failure, 0), { now: 10_000, isBrokerSilent: false }));
  t.strictSame(
    (['full', 'refused', 'failed', 'denied', 'away', 'silent'] as const).filter(isUseless),
    ['failed', 'denied'],
  );
  t.end();
});
