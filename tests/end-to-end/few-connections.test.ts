import t from 'tap';
import { checkFewConnections } from './few-connections.ts';

// With nine seconds between flushes it takes a minute and a half: tests/long.
void t.test('few connections: no backlog of acks and nothing above ten seconds', (t) =>
  checkFewConnections(t, { loadMs: 10_000, flushIntervalMs: 1_000 }),
);
