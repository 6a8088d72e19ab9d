import { setTimeout as delay } from 'node:timers/promises';
import { provision } from '../../nats/provision.ts';
import { describeBehind } from '../../nats/replicas.ts';
import { natsTlsFiles } from '../../nats/tls-settings.ts';
import { describeDatabaseError } from '../../schema/database/describe-database-error.ts';
import { readEnvironment } from '../../schema/settings/environment.ts';
import { migrate } from '../../schema/database/migrate.ts';
import { PrepareConfig } from './config.ts';

// The second one-shot step of compose.yaml: tables and roles, streams and the consumer. It can be
// repeated at every start, and brings an older mesh to this version.

/** A cluster that has just started has no leader for a moment. */
const PATIENCE_MS = 90_000;
const RETRY_DELAY_MS = 1_000;

async function main(): Promise<void> {
  const config = readEnvironment(PrepareConfig, process.env);
  const prepareDatabase = () =>
    migrate({
      ownerUrl: config.DATABASE_URL,
      gatewayPassword: config.GATEWAY_DATABASE_PASSWORD,
      counterPassword: config.COUNTER_DATABASE_PASSWORD,
    });
  await patiently('PostgreSQL', prepareDatabase, describeDatabaseError);
  const prepareBroker = () =>
    provision({
      url: config.NATS_URL,
      ...natsTlsFiles(config),
      replicas: config.REPLICAS,
      flushIntervalMs: config.FLUSH_INTERVAL_MS,
      onWait: (replicas) =>
        void process.stdout.write(`waiting for replicas: ${describeBehind(replicas)}\n`),
    });
  await patiently('NATS', prepareBroker, (error) => (error as Error).message);
}

/**
 * Says each reason once while it waits.
 *
 * @throws Error whose message is the last one: what the operator has to repair.
 */
async function patiently(
  name: string,
  prepare: () => Promise<void>,
  describe: (error: unknown) => string,
): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  let reason = '';
  for (;;) {
    try {
      await prepare();
      process.stdout.write(`${name} is prepared\n`);
      return;
    } catch (error) {
      const next = describe(error);
      if (performance.now() > deadline) {
        throw new Error(`${name} can't be prepared: ${next}`, { cause: error });
      }
      if (next !== reason) process.stdout.write(`${name} can't be prepared yet: ${next}\n`);
      reason = next;
      await delay(RETRY_DELAY_MS);
    }
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`prepare: ${(error as Error).message}\n`);
  process.exit(1);
});
