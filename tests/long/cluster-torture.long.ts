import t from 'tap';
import { report } from '../torture/report.ts';
import { torture } from '../torture/torture.ts';

const SEED = 20_263;

void t.test(
  'a cluster under every fault counts each 200 once and balances its books',
  async (t) => {
    const verdict = await torture({ seed: SEED, durationMs: 60_000, natsNodes: 3 });
    t.comment(report(verdict));
    t.strictSame(verdict.problems, [], `seed ${verdict.seed}`);
    t.ok(verdict.harms.length > 4, 'faults were injected');
    t.ok(verdict.counted > 100, 'and increments counted');
  },
);
