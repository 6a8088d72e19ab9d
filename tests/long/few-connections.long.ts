import t from 'tap';
import { checkFewConnections } from '../end-to-end/few-connections.ts';

void t.test('few connections for long: no backlog of acks and nothing above ten seconds', (t) =>
  checkFewConnections(t, { loadMs: 90_000, flushIntervalMs: 9_000 }),
);
