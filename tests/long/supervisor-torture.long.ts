import t from 'tap';
import { report } from '../torture/report.ts';
import { tortureSupervisor } from '../torture/supervisor.ts';

void t.test('a supervisor is killed under load, and no 200 is lost', async (t) => {
  const verdict = await tortureSupervisor({ seed: 20_262, rounds: 1 });
  t.comment(report(verdict));
  t.strictSame(verdict.problems, [], `seed ${verdict.seed}`);
  t.ok(verdict.counted > 100, 'increments were counted');
});
