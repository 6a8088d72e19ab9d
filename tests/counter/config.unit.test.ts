import t from 'tap';
import { CounterConfig } from '../../counter/config.ts';
import { readEnvironment } from '../../schema/settings/environment.ts';
import { checkBounds } from '../schema/settings/problems-of.ts';

const NEEDED = { NATS_URL: 'nats://x', DATABASE_URL: 'postgres://x' };

void t.test('every number has bounds, which it may reach', (t) => {
  checkBounds(t, CounterConfig, NEEDED);
  t.end();
});

void t.test('a counter that is told its stores alone flushes in time for ten seconds', (t) => {
  t.match(readEnvironment(CounterConfig, NEEDED), {
    FLUSH_INTERVAL_MS: 9_000,
    KEYS_HELD_MAX: 250_000,
    MESSAGES_HELD_MAX: 50_000,
    IDEMPOTENCY_KEY_KEPT_MS: 86_400_000,
    LOG_LEVEL: 'info',
  });
  t.end();
});
