import t from 'tap';
import { CLEARS_PER_S_MAX, limitPerSecond } from '../../../counter/clear/clears.ts';

void t.test('a counter service begins at most ten clears in any second', (t) => {
  const mayBegin = limitPerSecond(CLEARS_PER_S_MAX);
  const begun: number[] = [];
  for (let nowMs = 0; nowMs < 5_000; nowMs += 7) if (mayBegin(nowMs)) begun.push(nowMs);
  t.equal(CLEARS_PER_S_MAX, 10);
  for (const from of begun) {
    const inSecond = begun.filter((nowMs) => nowMs >= from && nowMs < from + 1_000);
    t.ok(inSecond.length <= CLEARS_PER_S_MAX, `from ${from}`);
  }
  t.ok(begun.length >= 5 * CLEARS_PER_S_MAX - 2, 'and no fewer');
  t.end();
});
