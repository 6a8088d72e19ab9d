import closeWithGrace from 'close-with-grace';
import { natsAccess } from '../nats/access-settings.ts';
import { sendHeartbeats } from '../nats/send-heartbeats.ts';
import {
  accessOf,
  CannotConnect,
  connectToNats,
  managerOf,
  watchConnection,
} from '../nats/connect.ts';
import { followDenials } from '../nats/denials.ts';
import { CLEAR_SUBJECT } from '../nats/channel.ts';
import { leaveSilentBroker } from '../nats/leave-silent-broker.ts';
import { answerDiscovery } from '../nats/discovery.ts';
import { answerGateways } from '../nats/requests.ts';
import { createPuller } from '../nats/pull.ts';
import { openDatabase } from '../schema/database/database.ts';
import { parseDatabaseUrl } from '../schema/database/database-url.ts';
import { roleSettings, SERVICE_CONNECTIONS_MAX } from '../schema/database/role-settings.ts';
import { findMistypedNames } from '../schema/settings/mistyped-names.ts';
import { ConfigurationError, readBoth } from '../schema/settings/environment.ts';
import { createDatabaseMetrics } from '../telemetry/database-metrics.ts';
import { createLog } from '../telemetry/log.ts';
import { readTelemetrySettings } from '../telemetry/settings.ts';
import { startTelemetry } from '../telemetry/start.ts';
import { throttleWarnings } from '../telemetry/throttled-warning.ts';
import { isTracing } from '../telemetry/tracing.ts';
import { startCounter, type CounterService } from './app.ts';
import { CounterConfig, readCounterConfig, STOP_MS_MAX } from './config.ts';
import { readConsumerAckWait } from './startup/check-consumer.ts';
import { findUnwiseSettings } from './startup/unwise-settings.ts';
import { createDeadLetterSender } from './maintenance/send-dead-letters.ts';
import { StoresDisagree } from './settle/compare-stores.ts';
import { createMetrics, type Held } from './telemetry/metrics.ts';
import { readInstance } from '../telemetry/instance.ts';
import { createReport } from './telemetry/report.ts';
import { createStats } from './telemetry/stats.ts';
import { createFlushTracing, tracePuller } from './telemetry/tracing.ts';

/** Above the role's transaction_timeout of 15 s: the server gives up first, unless it hangs. */
const DATABASE_QUERY_TIMEOUT_MS = 16_000;

const NOTHING_HELD: Held = {
  messages: 0,
  keys: 0,
  pending: 0,
  oldestAgeMs: 0,
  isBrokerConnected: true,
};

async function main(): Promise<void> {
  const warnings: string[] = [];
  const [config, telemetry] = readBoth(
    () => readCounterConfig(process.env, (warning) => warnings.push(warning)),
    () => readTelemetrySettings(process.env),
  );
  const log = createLog('counter', config.LOG_LEVEL);
  warnings.forEach((line) => log.warn(line));
  for (const line of findMistypedNames(CounterConfig, process.env)) log.warn(line);
  findUnwiseSettings(config).forEach((line) => log.warn(line));
  const stopTelemetry = await startTelemetry('counter', telemetry, log);
  const startup = new AbortController();
  const stopSteps: (() => Promise<unknown>)[] = [stopTelemetry];

  // In order: commit and settle what is held, then close the connections.
  closeWithGrace({ delay: STOP_MS_MAX, logger: false }, async ({ signal, err }) => {
    startup.abort();
    if (err) {
      // The state in memory may be wrong. The broker still has these messages and delivers them again.
      log.fatal({ err }, 'the counter service ends without a last flush');
      return;
    }
    log.info({ signal }, 'the counter service is stopping');
    for (const step of stopSteps.toReversed()) await step();
    log.info('the counter service has stopped');
  });

  const connection = await connectToNats({
    url: config.NATS_URL,
    ...natsAccess(config),
    role: 'counter',
    signal: startup.signal,
    onRetry: (error) => log.warn(error.message),
  });
  void followDenials(connection, accessOf(connection), (line) => log.error(line));
  stopSteps.push(() => connection.drain());
  const database = openDatabase(config.DATABASE_URL, {
    name: 'increment-mesh counter',
    // One each for flushing, purging, pruning, and dead letters or probes.
    connectionsMax: SERVICE_CONNECTIONS_MAX,
    queryTimeoutMs: DATABASE_QUERY_TIMEOUT_MS,
    settings: roleSettings('counter', config.DATABASE_SCHEMA),
    onQuery: createDatabaseMetrics(),
    onBrokenConnection: (error) => log.warn({ err: error }, 'a database connection broke'),
  });
  stopSteps.push(() => database.destroy());

  const watch = watchConnection(connection);
  leaveSilentBroker(connection, watch, (line) => log.warn(line));
  const manager = await managerOf(connection, { timeout: 3_000 });
  let service: CounterService | undefined;
  const readHeld = () => service?.held ?? NOTHING_HELD;
  const stats = createStats();
  createMetrics(stats, readHeld);
  const report = createReport(readInstance(config.INSTANCE_NAME), stats, readHeld);
  const puller = createPuller(connection, watch);
  // Before the start too: gateways hear from it what it waits for.
  stopSteps.push(sendHeartbeats(connection, watch, report.readHeartbeat));
  const ackWaitMs = await readConsumerAckWait(manager, config.FLUSH_INTERVAL_MS, {
    stats,
    log,
    signal: startup.signal,
  });
  service = await startCounter(
    {
      database,
      databaseUser: parseDatabaseUrl(config.DATABASE_URL).user,
      manager,
      puller: isTracing() ? tracePuller(puller) : puller,
      watch,
      send: (reply, kind) => connection.publish(reply, kind),
      sendDeadLetters: createDeadLetterSender(database, connection),
      flushIntervalMs: config.FLUSH_INTERVAL_MS,
      ackWaitMs,
      keysHeldMax: config.KEYS_HELD_MAX,
      messagesHeldMax: config.MESSAGES_HELD_MAX,
      idempotencyKeptMs: config.IDEMPOTENCY_KEY_KEPT_MS,
      stats,
      ...(isTracing() && { tracing: createFlushTracing(throttleWarnings(log)) }),
      log,
    },
    startup.signal,
  );
  stopSteps.push(service.stop);
  const stopAnswering = answerGateways(connection, CLEAR_SUBJECT, service.answerClear);
  stopSteps.push(() => Promise.resolve(stopAnswering()));
  answerDiscovery(connection, report.service);
  log.info('the counter is ready');
  await service.failed;
}

main().catch((error: unknown) => {
  if ((error as Error).name === 'AbortError') return;
  // Errors that an operator can repair are one clear line, without a stack.
  const isExpected =
    error instanceof ConfigurationError ||
    error instanceof CannotConnect ||
    error instanceof StoresDisagree;
  process.stderr.write(`counter: ${isExpected ? error.message : (error as Error).stack}\n`);
  process.exit(1);
});
