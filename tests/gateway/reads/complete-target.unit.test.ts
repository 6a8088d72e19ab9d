import t from 'tap';
import {
  isReached,
  parseTarget,
  parseWaitSeconds,
} from '../../../gateway/reads/complete-target.ts';

void t.test('a target is a time or a sequence', async (t) => {
  t.strictSame(parseTarget('14'), { sequence: 14 });
  const timeMs = Date.parse('2026-11-23T08:47:44.642Z');
  t.strictSame(parseTarget('2026-11-23T08:47:44.642Z'), { timeMs });
  t.strictSame(parseTarget('2026-11-23T09:47:44.642000+01:00'), { timeMs });
  t.strictSame(parseTarget('2026-11-23T08:47:44.6420001Z'), { timeMs: timeMs + 1 }, 'rounded up');
  for (const bad of [
    '',
    '-1',
    '1e3',
    '1234567890123456',
    '2026-11-23',
    '2026-13-01T00:00:00Z',
    'x',
  ])
    t.throws(() => parseTarget(bad), { code: 'invalid-request' }, bad);
});

void t.test('how long to wait is read from Prefer', async (t) => {
  t.equal(parseWaitSeconds(undefined), 0);
  t.equal(parseWaitSeconds('wait=10'), 10);
  t.equal(parseWaitSeconds('respond-async, Wait = "5"; x=1'), 5);
  t.equal(parseWaitSeconds('wait=9999'), 30, 'at most thirty seconds');
  t.equal(parseWaitSeconds('await=7'), 0);
  t.equal(parseWaitSeconds('wait=-1'), 0);
});

void t.test('what is not known is not reached', async (t) => {
  const through = new Date(1_000);
  t.ok(isReached({ through, sequence: 3 }, { timeMs: 1_000 }));
  t.notOk(isReached({ through, sequence: 3 }, { timeMs: 1_001 }));
  t.ok(isReached({ through, sequence: 3 }, { sequence: 3 }));
  t.notOk(isReached({ through, sequence: 3 }, { sequence: 4 }));
  t.notOk(isReached({ through: null, sequence: null }, { timeMs: 0 }));
  t.notOk(isReached({ through: null, sequence: null }, { sequence: 0 }));
});
