import t from 'tap';
import { checkKill } from './killed-counter.ts';

void t.test('what a killed counter held is committed 13 s after it was stored', (t) =>
  checkKill(t, { requestsPerSecond: 20, afterMs: 6_000 }),
);
