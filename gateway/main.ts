import { trace } from '@opentelemetry/api';
import closeWithGrace from 'close-with-grace';
import type { FastifyListenOptions } from 'fastify';
import type { Kysely } from 'kysely';
import { describeClock } from '../nats/broker-clock.ts';
import { natsAccess } from '../nats/access-settings.ts';
import { sendHeartbeats } from '../nats/send-heartbeats.ts';
import {
  accessOf,
  CannotConnect,
  connectionChange,
  connectToNats,
  watchConnection,
} from '../nats/connect.ts';
import { followDenials } from '../nats/denials.ts';
import { answerDiscovery } from '../nats/discovery.ts';
import { HEARTBEAT_SUBJECT, openChannel, RATE_LIMIT_SUBJECT } from '../nats/channel.ts';
import { leaveSilentBroker } from '../nats/leave-silent-broker.ts';
import { createPublisher } from '../nats/publisher.ts';
import { watchStream, type StreamWatch } from '../nats/stream-watch.ts';
import { INCREMENTS } from '../nats/streams.ts';
import { UNSTATED_SYNC } from '../nats/sync-setting.ts';
import { readDatabaseId } from '../schema/database/database-id.ts';
import { describeDatabaseError } from '../schema/database/describe-database-error.ts';
import { openDatabase } from '../schema/database/database.ts';
import { roleSettings, SERVICE_CONNECTIONS_MAX } from '../schema/database/role-settings.ts';
import { checkSchema, EarlierSchema } from '../schema/database/schema-version.ts';
import type { Database } from '../schema/database/tables.ts';
import { mintId } from '../schema/message/message-id.ts';
import { ConfigurationError, readBoth } from '../schema/settings/environment.ts';
import { findMistypedNames } from '../schema/settings/mistyped-names.ts';
import { createLog, type Log } from '../telemetry/log.ts';
import { readTelemetrySettings } from '../telemetry/settings.ts';
import { readInstance } from '../telemetry/instance.ts';
import { throttleWarnings } from '../telemetry/throttled-warning.ts';
import { startTelemetry } from '../telemetry/start.ts';
import { isTracing } from '../telemetry/tracing.ts';
import { openApiKeys } from './auth/api-keys.ts';
import { logKeyChange } from './auth/audit-log.ts';
import { buildGateway } from './app.ts';
import {
  GatewayConfig,
  readCorsOrigins,
  readGatewayConfig,
  readHosts,
  STOP_MS_MAX,
} from './config.ts';
import { createClearRequests } from './clear/clear-requests.ts';
import { createMeshView } from './console/mesh-view.ts';
import { readTlsFiles } from './http-server.ts';
import { createPublishQueues } from './increments/publish-queues.ts';
import { createMetrics } from './telemetry/metrics.ts';
import { createReport } from './telemetry/report.ts';
import { createStats } from './telemetry/stats.ts';
import { tracePublisher } from './telemetry/tracing.ts';
import { watchDatabase } from './health/database-watch.ts';
import { createDiagnosis } from './health/diagnosis.ts';
import { collectReports } from './health/service-reports.ts';
import { listenForRisk } from './health/reported-risk.ts';
import { createReadiness, STREAM_AWAY } from './health/readiness.ts';
import { watchStore } from './health/store-watch.ts';
import { findUnwiseSettings } from './unwise-settings.ts';

const DATABASE_QUERY_TIMEOUT_MS = 2_000;
/** How long a start waits for the stream, which may be made later. */
const STREAM_MS_MAX = 1_000;

async function main(): Promise<void> {
  const warnings: string[] = [];
  const [config, telemetry] = readBoth(
    () => readGatewayConfig(process.env, (warning) => warnings.push(warning)),
    () => readTelemetrySettings(process.env),
  );
  const log = createLog('gateway', config.LOG_LEVEL);
  warnings.forEach((line) => log.warn(line));
  for (const line of findMistypedNames(GatewayConfig, process.env)) log.warn(line);
  const stopTelemetry = await startTelemetry('gateway', telemetry, log);
  const tls = readTlsFiles(config);
  const apiKeys =
    config.API_KEYS_FILE === undefined
      ? undefined
      : openApiKeys(
          config.API_KEYS_FILE,
          (problem) => log.error(problem),
          (warning) => log.warn(warning),
        );
  apiKeys?.onChange((change) => logKeyChange(log, change));
  if (apiKeys === undefined) {
    log.info(
      'authentication is off: whoever reaches this gateway may read and write, and all share one scope of idempotency keys',
    );
  }
  findUnwiseSettings(config).forEach((line) => log.warn(line));
  const isSyncStated = config.NATS_SYNC !== undefined;
  if (!isSyncStated) log.warn(UNSTATED_SYNC);
  const own = readInstance(config.INSTANCE_NAME);
  let isStopping = false;
  const startup = new AbortController();
  const stopSteps: (() => Promise<unknown>)[] = [stopTelemetry];

  // In order: become unready and give notice, answer every request in flight, close the connections.
  closeWithGrace(
    { delay: STOP_MS_MAX + config.DRAIN_NOTICE_MS, logger: false },
    async ({ signal, err }) => {
      if (err) log.error({ err }, 'the gateway stops because of an error');
      else log.info({ signal }, 'the gateway is stopping');
      isStopping = true;
      startup.abort();
      for (const step of stopSteps.toReversed()) await step();
      log.info('the gateway has stopped');
    },
  );

  const connection = await connectToNats({
    url: config.NATS_URL,
    ...natsAccess(config),
    role: 'gateway',
    signal: startup.signal,
    onRetry: (error) => log.warn(error.message),
  });
  stopSteps.push(() => connection.close());
  void followDenials(connection, accessOf(connection), (line) => log.error(line));
  const watch = watchConnection(connection);
  leaveSilentBroker(connection, watch, (line) => log.warn(line));
  watch.onChange((isConnected) => {
    if (isConnected) log.info('the broker is back');
    else log.warn('the broker is away: increments wait, then get a 503');
  });
  const stream = watchStream(connection, watch);
  await followStream(stream, log);
  // By the broker's clock: counter services refuse an id whose time is far from its storage.
  const makeId = () => mintId(stream.brokerTimeMs());
  const store = watchStore(connection, { stream, makeId, log });
  stopSteps.push(() => Promise.resolve(store.stop()));

  const database = openDatabase(config.DATABASE_URL, {
    name: 'increment-mesh gateway',
    // Reads share few connections: they are single-row look-ups.
    connectionsMax: SERVICE_CONNECTIONS_MAX,
    queryTimeoutMs: DATABASE_QUERY_TIMEOUT_MS,
    settings: roleSettings('gateway', config.DATABASE_SCHEMA),
    onBrokenConnection: (error) => log.warn({ err: error }, 'a database connection broke'),
  });
  stopSteps.push(() => database.destroy());
  void lookAtSchema(database, log);

  const warn = throttleWarnings(log);
  const warnOfDatabase = (error: unknown) =>
    warn(`counters can't be read: ${describeDatabaseError(error)}`);
  const databaseWatch = watchDatabase(database, warnOfDatabase);
  stopSteps.push(() => Promise.resolve(databaseWatch.stop()));

  const stats = createStats();
  // The queues write to the stats, and the reports read the queues.
  const observe = {
    waiting: () => queues.waiting,
    isBrokerConnected: () => watch.isConnected,
    readStoreProblem: store.readProblem,
    readClockAheadMs: () => stream.clockAheadMs,
    isSyncStated,
    readKeyUses: apiKeys?.readUses,
    readFindings: () => diagnosis.findings,
  };
  createMetrics(stats, observe);
  const { service, readHeartbeat } = createReport(own, stats, observe);
  const publisher = createPublisher(connection, store, store.onAttempt);
  const queues = createPublishQueues({
    publisher: isTracing() ? tracePublisher(publisher) : publisher,
    ...(isTracing() && { readOrigin: () => trace.getActiveSpan() }),
    deadlineMs: config.PUBLISH_DEADLINE_MS,
    makeId,
    waitingMax: config.WAITING_MAX,
    onPublished: stats.published,
  });
  const reports = collectReports({
    heartbeats: openChannel(connection, HEARTBEAT_SUBJECT),
    readOwn: readHeartbeat,
    onBroken: (forget) => watch.onChange(forget),
  });
  const readRisk = listenForRisk({
    reports,
    readDatabaseId: () => readDatabaseId(database),
    onChange: (risk) => {
      if (risk === undefined) log.info('no counter service reports a risk any more');
      else log.error(`not ready, since accepted increments may be lost: ${risk}`);
    },
  });
  const diagnosis = createDiagnosis({
    own,
    reports,
    isBrokerConnected: () => watch.isConnected,
    isStreamThere: () => stream.isConnected,
    readStoreProblem: store.readProblem,
    readRisk,
    readDatabase: () => databaseWatch.latest,
  });
  const readiness = createReadiness({
    isStopping: () => isStopping,
    isBrokerConnected: () => watch.isConnected,
    isStreamThere: () => stream.isConnected,
    readRisk,
    readStoreProblem: store.readProblem,
  });

  const app = await buildGateway({
    queues,
    waitingMax: config.WAITING_MAX,
    database,
    clears: createClearRequests({ connection, watch, brokerTimeMs: stream.brokerTimeMs }),
    stats,
    log,
    brokerTimeMs: stream.brokerTimeMs,
    rateLimit: {
      max: config.RATE_LIMIT_MAX,
      batchMax: config.RATE_LIMIT_BATCH_MAX,
      windowMs: config.RATE_LIMIT_WINDOW_MS,
      channel: openChannel(connection, RATE_LIMIT_SUBJECT),
    },
    connectionsPerAddressMax: config.CONNECTIONS_PER_ADDRESS_MAX,
    keepAliveTimeoutMs: config.KEEP_ALIVE_TIMEOUT_MS,
    trustProxy: config.TRUST_PROXY,
    apiKeys,
    hosts: readHosts(config),
    corsOrigins: readCorsOrigins(config),
    tls,
    readiness,
    databaseWatch,
    warnOfDatabase,
    diagnosis,
    meshView: createMeshView({ reports, diagnosis, isBrokerConnected: () => watch.isConnected }),
  });
  stopSteps.push(sendHeartbeats(connection, watch, readHeartbeat), async () => {
    await new Promise((resolve) => setTimeout(resolve, config.DRAIN_NOTICE_MS));
    await app.close();
    await queues.drain();
  });
  // Fastify passes its options to Node, but its types lack reusePort.
  const address: FastifyListenOptions & { reusePort: boolean } = {
    host: config.HOST,
    port: config.PORT,
    reusePort: config.REUSE_PORT === 1,
  };
  await app.listen(address).catch((error: Error) => {
    throw new ConfigurationError([
      `cannot listen on ${config.HOST}:${config.PORT} (${error.message}): choose another PORT or HOST`,
    ]);
  });
  answerDiscovery(connection, service);
  log.info({ address: app.server.address() }, 'the gateway is ready');
}

/** Increments are accepted whatever the tables are; reads may fail. */
async function lookAtSchema(database: Kysely<Database>, log: Log): Promise<void> {
  try {
    const later = await checkSchema(database);
    if (later !== undefined) log.warn(`${later}: reads go on`);
  } catch (error) {
    // Anything else is said by the first read that fails.
    if (error instanceof EarlierSchema) log.warn(error.message);
  }
}

/** Waits a moment for the stream, then logs each time it comes or goes. */
async function followStream(stream: StreamWatch, log: Log): Promise<void> {
  const report = (isThere: boolean) => {
    if (!isThere) {
      log.warn(
        `no server stores the stream ${INCREMENTS}, so increments wait, then get a 503: ${STREAM_AWAY}`,
      );
      return;
    }
    log.info(`the stream ${INCREMENTS} is there`);
    const wrong = describeClock(stream.clockAheadMs);
    if (wrong !== undefined) log.warn(`${wrong}, by which ids are made`);
  };
  await connectionChange(stream, STREAM_MS_MAX);
  report(stream.isConnected);
  stream.onChange(report);
}

main().catch((error: unknown) => {
  // Errors that an operator can repair are one clear line, without a stack.
  const isExpected = error instanceof ConfigurationError || error instanceof CannotConnect;
  process.stderr.write(`gateway: ${isExpected ? error.message : (error as Error).stack}\n`);
  process.exit(1);
});
