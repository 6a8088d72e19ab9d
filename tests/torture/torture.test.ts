import t from 'tap';
import { report } from './report.ts';
import { torture } from './torture.ts';

const SEED = 20_261;

void t.test('under every fault each 200 is counted once and the books balance', async (t) => {
  const verdict = await torture({ seed: SEED, durationMs: 30_000 });
  t.comment(report(verdict));
  t.strictSame(verdict.problems, [], `seed ${verdict.seed}`);
  t.ok(verdict.harms.length > 4, 'faults were injected');
  t.ok(verdict.counted > 100, 'and increments counted');
  t.ok((verdict.reads?.claims ?? 0) > 1_000, 'and reads were held to what they say');
});
