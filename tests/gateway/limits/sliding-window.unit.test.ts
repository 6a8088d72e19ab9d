import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { createSlidingWindows } from '../../../gateway/limits/sliding-window.ts';

const WINDOW_MS = 1_000;

void t.test('a limit is granted once in any window, not twice around an edge', (t) => {
  const { take } = createSlidingWindows(WINDOW_MS, 10);
  const granted = (now: number, count: number) =>
    Array.from({ length: count }, () => take('a', { limit: 5, cost: 1 }, now)).filter(
      ({ isAllowed }) => isAllowed,
    ).length;
  t.equal(granted(0, 1), 1);
  t.equal(granted(900, 10), 4);
  t.equal(granted(999, 10), 0);
  t.equal(granted(1_000, 10), 1, 'what was granted a window ago comes back');
  t.equal(granted(1_899, 10), 0);
  t.equal(granted(1_900, 10), 4);
  t.end();
});

void t.test('what is refused costs nothing, and is told when it will fit', (t) => {
  const { take } = createSlidingWindows(WINDOW_MS, 10);
  t.match(take('a', { limit: 10, cost: 6 }, 0), { isAllowed: true, remaining: 4, ttlMs: 1_000 });
  for (let now = 1; now < 400; now++) take('a', { limit: 10, cost: 6 }, now);
  t.match(take('a', { limit: 10, cost: 6 }, 400), { isAllowed: false, remaining: 4, ttlMs: 600 });
  t.match(take('a', { limit: 10, cost: 4 }, 400), { isAllowed: true, remaining: 0 }, 'less fits');
  t.match(take('a', { limit: 10, cost: 7 }, 400), { ttlMs: 1_000 }, 'both must come back');
  t.match(take('a', { limit: 10, cost: 6 }, 1_000), { isAllowed: true }, 'as it was told');
  t.end();
});

void t.test(
  'no window of whatever place has more than the limit, and nothing is withheld for long',
  (t) => {
    const asks = fc.array(
      fc.record({ waitMs: fc.nat(300), cost: fc.integer({ min: 1, max: 4 }) }),
      { maxLength: 200 },
    );
    fc.assert(
      fc.property(asks, fc.integer({ min: 4, max: 12 }), (steps, limit) => {
        const { take } = createSlidingWindows(WINDOW_MS, 10);
        const granted: { at: number; cost: number }[] = [];
        const usedAfter = (since: number) =>
          granted.reduce((sum, { at, cost }) => sum + (at > since ? cost : 0), 0);
        let now = 0;
        for (const { waitMs, cost } of steps) {
          now += waitMs;
          const { isAllowed, remaining } = take('a', { limit, cost }, now);
          if (isAllowed) granted.push({ at: now, cost });
          assert(usedAfter(now - WINDOW_MS) <= limit, 'never more');
          // Grants that are kept as one come back together, a hundredth of the window late at most.
          const used = usedAfter(now - WINDOW_MS * 1.01);
          if (!isAllowed) assert(used + cost > limit, 'refused only where it does not fit');
          assert(remaining >= limit - used);
        }
      }),
    );
    t.end();
  },
);

void t.test('a client that is granted a million costs a hundred entries', (t) => {
  const { take } = createSlidingWindows(WINDOW_MS, 10);
  const startedAt = performance.now();
  for (let count = 0; count < 1_000_000; count++) {
    take('a', { limit: 1_000_000, cost: 1 }, count / 1_000);
  }
  const { isAllowed, ttlMs } = take('a', { limit: 1_000_000, cost: 1 }, WINDOW_MS);
  t.notOk(isAllowed);
  t.ok(ttlMs <= WINDOW_MS / 100);
  t.ok(performance.now() - startedAt < 5_000);
  t.end();
});

void t.test('clients that come in masses push none out that is at its limit', (t) => {
  const { take } = createSlidingWindows(WINDOW_MS, 100);
  const refused = () => !take('over', { limit: 2, cost: 1 }, 1).isAllowed;
  t.strictSame([refused(), refused(), refused()], [false, false, true]);
  for (let other = 0; other < 1_000; other++) take(`other ${other}`, { limit: 2, cost: 1 }, 2);
  t.ok(refused());
  t.end();
});

void t.test('what a client used elsewhere counts, and what is known of it counts once', (t) => {
  const { take, seed } = createSlidingWindows(WINDOW_MS, 10);
  take('a', { limit: 10, cost: 3 }, 100);
  seed('a', 8, 50);
  t.match(take('a', { limit: 10, cost: 3 }, 100), { isAllowed: false, remaining: 2 });
  seed('a', 8, 50);
  t.match(take('a', { limit: 10, cost: 1 }, 100), { isAllowed: true, remaining: 1 });
  t.match(take('a', { limit: 10, cost: 6 }, 1_050), { isAllowed: true, remaining: 0 });
  t.end();
});
