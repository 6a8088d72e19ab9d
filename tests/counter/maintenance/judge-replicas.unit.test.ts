import t from 'tap';
import { judgeReplicas } from '../../../counter/maintenance/judge-replicas.ts';

const CURRENT = { of: 'INCREMENTS', wanted: 3, current: 3, servers: [], behind: [] };
const behind = (isAway: boolean) => ({
  ...CURRENT,
  current: 2,
  behind: [{ name: 'nats-2', isAway }],
});
const AWAY = { behind: 1, text: 'INCREMENTS 2 of 3 (nats-2 is away)', isSettling: false };
const LATE = { behind: 1, text: 'INCREMENTS 2 of 3 (nats-2 is catching up)', isSettling: true };

void t.test('a server that is away is said at once, and one that catches up after a while', (t) => {
  t.strictSame(judgeReplicas([CURRENT], 0), { behind: 0, text: undefined, isSettling: false });
  t.strictSame(judgeReplicas([CURRENT, behind(true)], 0), AWAY);
  t.match(judgeReplicas([behind(false)], 2_999), { behind: 0, isSettling: true });
  t.strictSame(judgeReplicas([behind(false)], 3_000), LATE);
  const forming = { ...CURRENT, current: 1 };
  t.match(judgeReplicas([forming], 3_000), { behind: 2, text: /others are still unknown/ });
  t.end();
});
