import { setTimeout as delay } from 'node:timers/promises';
import type { Static } from 'typebox';
import { readDatabaseIdAt } from '../../schema/database/database-id.ts';
import { OWN_SERVER_PREFIX } from '../../schema/database/database-names.ts';
import { parseDatabaseUrl } from '../../schema/database/database-url.ts';
import { judgeNatsAccess, natsAccess } from '../../nats/access-settings.ts';
import { UselessConnection } from '../../nats/connect.ts';
import { claimStream, provision, ProvisionRefused } from '../../nats/provision.ts';
import { describeBehind } from '../../nats/replicas.ts';
import { UNSTATED_SYNC } from '../../nats/sync-setting.ts';
import { describeDatabaseError } from '../../schema/database/describe-database-error.ts';
import { PreflightFailed } from '../../schema/database/preflight-failed.ts';
import { LaterSchema } from '../../schema/database/schema-version.ts';
import { setUpServer } from '../../schema/database/set-up-server.ts';
import { ConfigurationError, readEnvironment } from '../../schema/settings/environment.ts';
import { provisionDatabase } from '../database/provision-database.ts';
import { readServiceUrls } from '../database/service-urls.ts';
import { findMistypedNames } from '../../schema/settings/mistyped-names.ts';
import { ProvisionConfig } from './config.ts';

// The process of `npm run provision`, and the second one-shot step of compose.yaml: makes tables and
// roles, streams and the consumer. It can be repeated, and brings an older mesh to this version.

/** A cluster that has just started has no leader for a moment. */
const RETRY_MS_MAX = 90_000;
const RETRY_DELAY_MS = 1_000;

async function main(): Promise<void> {
  const config = readProvisionConfig(process.env);
  const { problems, warnings } = judgeNatsAccess(config, {
    url: config.NATS_URL,
    roles: ['provisioner'],
  });
  if (problems.length > 0) throw new ConfigurationError(problems);
  for (const warning of warnings) say(warning);
  for (const line of findMistypedNames(ProvisionConfig, process.env)) say(line);
  await retry('PostgreSQL', () => provisionPostgres(config), describeDatabaseError);
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
  const broker = { url: config.NATS_URL, ...natsAccess(config) };
  const databaseUrl = config.DATABASE_URL ?? config.COUNTER_DATABASE_URL;
  if (databaseUrl !== undefined) {
    await claimStream(broker, await readDatabaseIdAt(databaseUrl, config.DATABASE_SCHEMA));
  }
  if (config.NATS_SYNC === undefined) say(UNSTATED_SYNC);
}

/** @throws ConfigurationError */
function readProvisionConfig(environment: NodeJS.ProcessEnv): Static<typeof ProvisionConfig> {
  const config = readEnvironment(ProvisionConfig, environment);
  const hasPasswords =
    config.DATABASE_URL !== undefined &&
    config.GATEWAY_DATABASE_PASSWORD !== undefined &&
    config.COUNTER_DATABASE_PASSWORD !== undefined;
  if (!hasPasswords && readServiceUrls(config) === undefined) {
    throw new ConfigurationError([
      'set DATABASE_URL, GATEWAY_DATABASE_PASSWORD and COUNTER_DATABASE_PASSWORD, and the roles are made; ' +
        'or GATEWAY_DATABASE_URL and COUNTER_DATABASE_URL for roles that a DBA has made',
    ]);
  }
  return config;
}

async function provisionPostgres(config: Static<typeof ProvisionConfig>): Promise<void> {
  const { DATABASE_SCHEMA: schema, DATABASE_ROLE_PREFIX: rolePrefix } = config;
  const { GATEWAY_CONNECTIONS_MAX: gatewayMax, COUNTER_CONNECTIONS_MAX: counterMax } = config;
  const { DATABASE_URL: ownerUrl, SUPERUSER_DATABASE_URL: superuserUrl } = config;
  if (superuserUrl !== undefined && ownerUrl !== undefined) {
    const ownerPassword = parseDatabaseUrl(ownerUrl).password ?? '';
    await setUpServer({ superuserUrl, ownerPassword, schema, rolePrefix });
  }
  await provisionDatabase({
    ownerUrl,
    schema,
    // The names that compose.yaml's services have.
    rolePrefix: rolePrefix ?? (superuserUrl && OWN_SERVER_PREFIX),
    serviceUrls: readServiceUrls(config),
    passwords: {
      ...(config.GATEWAY_DATABASE_PASSWORD && { gateway: config.GATEWAY_DATABASE_PASSWORD }),
      ...(config.COUNTER_DATABASE_PASSWORD && { counter: config.COUNTER_DATABASE_PASSWORD }),
      ...(config.READER_DATABASE_PASSWORD && { reader: config.READER_DATABASE_PASSWORD }),
    },
    connectionsMax: {
      ...(gatewayMax !== undefined && { gateway: gatewayMax }),
      ...(counterMax !== undefined && { counter: counterMax }),
    },
    say,
  });
}

function isPermanent(error: unknown): boolean {
  const kinds = [
    ConfigurationError,
    LaterSchema,
    PreflightFailed,
    ProvisionRefused,
    UselessConnection,
  ];
  return kinds.some((kind) => error instanceof kind);
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
      if (performance.now() > deadline || isPermanent(error)) {
        throw new Error(`can't provision ${name}: ${next}`, { cause: error });
      }
      if (next !== reason) say(`can't provision ${name} yet: ${next}`);
      reason = next;
      await delay(RETRY_DELAY_MS);
    }
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`provision: ${(error as Error).message}\n`);
  process.exit(1);
});
