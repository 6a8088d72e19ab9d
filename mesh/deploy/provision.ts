import { setTimeout as delay } from 'node:timers/promises';
import type { Static } from 'typebox';
import { judgeNatsAccess, natsAccess } from '../../nats/access-settings.ts';
import { UselessConnection } from '../../nats/connect.ts';
import { provision, ProvisionRefused } from '../../nats/provision.ts';
import { describeBehind } from '../../nats/replicas.ts';
import { describeDatabaseError } from '../../schema/database/describe-database-error.ts';
import { migrate } from '../../schema/database/migrate.ts';
import { LaterSchema } from '../../schema/database/schema-version.ts';
import { setUpServer } from '../../schema/database/set-up-server.ts';
import { ConfigurationError, readEnvironment } from '../../schema/settings/environment.ts';
import { ProvisionConfig } from './config.ts';

// The process of `npm run provision`, and the second one-shot step of compose.yaml: makes tables and
// roles, streams and the consumer. It can be repeated, and brings an older mesh to this version.

/** A cluster that has just started has no leader for a moment. */
const RETRY_MS_MAX = 90_000;
const RETRY_DELAY_MS = 1_000;

async function main(): Promise<void> {
  const config = readEnvironment(ProvisionConfig, process.env);
  const { problems, warnings } = judgeNatsAccess(config, {
    url: config.NATS_URL,
    roles: ['provisioner'],
  });
  if (problems.length > 0) throw new ConfigurationError(problems);
  for (const warning of warnings) say(warning);
  await retry('PostgreSQL', () => provisionDatabase(config), describeDatabaseError);
  const provisionBroker = () =>
    provision({
      url: config.NATS_URL,
      ...natsAccess(config),
      replicas: config.REPLICAS,
      streamBytesMax: config.STREAM_BYTES_MAX,
      flushIntervalMs: config.FLUSH_INTERVAL_MS,
      onWait: (replicas) => say(`waiting for replicas: ${describeBehind(replicas)}`),
    });
  await retry('NATS', provisionBroker, (error) => (error as Error).message);
}

async function provisionDatabase(config: Static<typeof ProvisionConfig>): Promise<void> {
  const { GATEWAY_CONNECTIONS_MAX: gatewayMax, COUNTER_CONNECTIONS_MAX: counterMax } = config;
  if (config.SUPERUSER_DATABASE_URL !== undefined) {
    await setUpServer({
      superuserUrl: config.SUPERUSER_DATABASE_URL,
      ownerPassword: decodeURIComponent(new URL(config.DATABASE_URL).password),
    });
  }
  await migrate({
    ownerUrl: config.DATABASE_URL,
    gatewayPassword: config.GATEWAY_DATABASE_PASSWORD,
    counterPassword: config.COUNTER_DATABASE_PASSWORD,
    readerPassword: config.READER_DATABASE_PASSWORD,
    connectionsMax: {
      ...(gatewayMax !== undefined && { mesh_gateway: gatewayMax }),
      ...(counterMax !== undefined && { mesh_counter: counterMax }),
    },
    say,
  });
}

/**
 * Says each reason once while it retries.
 *
 * @throws Error with the last reason: what the operator has to repair.
 */
async function retry(
  name: string,
  provision: () => Promise<void>,
  describe: (error: unknown) => string,
): Promise<void> {
  const deadline = performance.now() + RETRY_MS_MAX;
  let reason = '';
  for (;;) {
    try {
      await provision();
      say(`${name} is provisioned`);
      return;
    } catch (error) {
      const next = describe(error);
      if (performance.now() > deadline || isLasting(error)) {
        throw new Error(`can't provision ${name}: ${next}`, { cause: error });
      }
      if (next !== reason) say(`can't provision ${name} yet: ${next}`);
      reason = next;
      await delay(RETRY_DELAY_MS);
    }
  }
}

/** Waiting would not help. */
function isLasting(error: unknown): boolean {
  const kinds = [LaterSchema, ProvisionRefused, UselessConnection];
  return kinds.some((kind) => error instanceof kind);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`provision: ${(error as Error).message}\n`);
  process.exit(1);
});
