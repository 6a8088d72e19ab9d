import { Type, type Static } from 'typebox';
import { judgeNatsAccess, NatsAccessSettings } from '../nats/access-settings.ts';
import { natsUrlSetting } from '../nats/nats-url.ts';
import { DatabaseSchemaSetting } from '../schema/database/database-names.ts';
import { StreamNameSetting } from '../nats/stream-settings.ts';
import { databaseUrlSetting } from '../schema/database/database-url.ts';
import { ConfigurationError, readEnvironment } from '../schema/settings/environment.ts';
import { InstanceNameSetting } from '../telemetry/instance.ts';
import { LogLevel } from '../telemetry/log.ts';

/** A stop takes at most this long: the last pull, the last flush with its retries, the acknowledgements. */
export const STOP_MS_MAX = 45_000;

/** The counter service's settings, each an environment variable. The documented table is made from these. */
export const CounterConfig = Type.Object({
  NATS_URL: natsUrlSetting(
    "The broker, with the counter service's user and password: nats://user:password@host:4222; several servers are separated by commas",
  ),
  ...NatsAccessSettings,
  ...StreamNameSetting,
  DATABASE_URL: databaseUrlSetting(
    'PostgreSQL for writes: postgres://mesh_increments_counter:password@host:5432/increments',
  ),
  ...DatabaseSchemaSetting,
  FLUSH_INTERVAL_MS: Type.Integer({
    default: 9_000,
    minimum: 100,
    maximum: 9_000,
    description: 'Maximum age of the oldest increment held before a counter service flushes',
  }),
  KEYS_HELD_MAX: Type.Integer({
    default: 250_000,
    minimum: 1_000,
    // Half of it is flushed in one transaction, which has 15 s.
    maximum: 1_000_000,
    description:
      'Maximum number of keys a counter service holds; it flushes at half of it and stops pulling at it',
  }),
  MESSAGES_HELD_MAX: Type.Integer({
    default: 50_000,
    minimum: 100,
    maximum: 90_000,
    description: 'Maximum number of messages a counter service holds, in the same way',
  }),
  IDEMPOTENCY_KEY_KEPT_MS: Type.Integer({
    default: 86_400_000,
    minimum: 3_600_000,
    maximum: 2_592_000_000,
    description: 'How long an Idempotency-Key is remembered, in stream time',
  }),
  ...InstanceNameSetting,
  LOG_LEVEL: LogLevel,
});
export type CounterConfig = Static<typeof CounterConfig>;

/**
 * @param warn called with each warning, once there is no problem.
 * @throws ConfigurationError with every problem of the environment at once.
 */
export function readCounterConfig(
  environment: NodeJS.ProcessEnv,
  warn: (warning: string) => void = () => undefined,
): CounterConfig {
  const config = readEnvironment(CounterConfig, environment);
  const { problems, warnings } = judgeNatsAccess(config, {
    url: config.NATS_URL,
    roles: ['counter'],
  });
  if (problems.length > 0) throw new ConfigurationError(problems);
  warnings.forEach(warn);
  return config;
}
