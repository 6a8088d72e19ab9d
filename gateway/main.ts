import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import closeWithGrace from 'close-with-grace';
import type { FastifyListenOptions } from 'fastify';
import { sendHeartbeats } from '../nats/send-heartbeats.ts';
import {
  CannotConnect,
  connectionChange,
  connectToNats,
  watchConnection,
} from '../nats/connect.ts';
import { answerDiscovery } from '../nats/discovery.ts';
import { HEARTBEAT_SUBJECT, createBroadcast, RATE_LIMIT_SUBJECT } from '../nats/broadcast.ts';
import { createPublisher } from '../nats/publisher.ts';
import { watchStream, type StreamWatch } from '../nats/stream-watch.ts';
import { INCREMENTS } from '../nats/streams.ts';
import { natsTlsFiles } from '../nats/tls-settings.ts';
import { openDatabase } from '../schema/database/database.ts';
import { mintId } from '../schema/message/message-id.ts';
import { ConfigurationError } from '../schema/settings/environment.ts';
import { createLog, type Log } from '../telemetry/log.ts';
import { startTelemetry } from '../telemetry/start.ts';
import { activeTraceparent, isTracing } from '../telemetry/tracing.ts';
import { openApiKeys } from './auth/api-keys.ts';
import { buildGateway } from './app.ts';
import { readGatewayConfig, STOP_MS_MAX, type GatewayConfig } from './config.ts';
import { createMeshView } from './console/mesh-view.ts';
import { createGatewayStats } from './telemetry/stats.ts';
import { createPublishQueues } from './increments/publish-queues.ts';
import { createGatewayMetrics } from './telemetry/metrics.ts';
import { tracePublisher } from './telemetry/tracing.ts';
import { createReadiness } from './health/readiness.ts';

/** Reads share few connections: they are single-row look-ups. */
const DATABASE_CONNECTIONS_MAX = 4;
const DATABASE_QUERY_TIMEOUT_MS = 2_000;
/** A load balancer needs this long to see that /readyz is 503 before connections are refused. */
const READINESS_NOTICE_MS = 500;
/** How long a start waits for the stream; it may be made later. */
const STREAM_MS_MAX = 1_000;
/** Far below the half hour at which counters refuse an id, far above what a kept clock is off. */
const CLOCK_AHEAD_S_MAX = 60;

async function main(): Promise<void> {
  const config = readGatewayConfig(process.env);
  const log = createLog('gateway', config.LOG_LEVEL);
  const stopTelemetry = await startTelemetry('gateway');
  const tls = readTls(config);
  const apiKeys =
    config.API_KEYS_FILE === undefined
      ? undefined
      : openApiKeys(config.API_KEYS_FILE, (problem) => log.error(problem));
  let isStopping = false;
  const startup = new AbortController();
  const stopSteps: (() => Promise<unknown>)[] = [stopTelemetry];

  // In order: not ready any more, then every request in flight answered, then the connections.
  closeWithGrace({ delay: STOP_MS_MAX, logger: false }, async ({ signal, err }) => {
    if (err) log.error({ err }, 'the gateway stops because of an error');
    else log.info({ signal }, 'the gateway is stopping');
    isStopping = true;
    startup.abort();
    for (const step of stopSteps.toReversed()) await step();
    log.info('the gateway has stopped');
  });

  const connection = await connectToNats({
    url: config.NATS_URL,
    ...natsTlsFiles(config),
    role: 'gateway',
    signal: startup.signal,
    onRetry: (error) => log.warn(error.message),
  });
  stopSteps.push(() => connection.close());
  const watch = watchConnection(connection);
  watch.onChange((isConnected) => {
    if (isConnected) log.info('the broker is back');
    else log.warn('the broker is away: increments wait, then get a 503');
  });
  const stream = watchStream(connection, watch);
  await tellOfStream(stream, log);

  const database = openDatabase(config.DATABASE_URL, {
    name: 'increment-mesh gateway',
    connectionsMax: DATABASE_CONNECTIONS_MAX,
    queryTimeoutMs: DATABASE_QUERY_TIMEOUT_MS,
    onBrokenConnection: (error) => log.warn({ err: error }, 'a database connection broke'),
  });
  stopSteps.push(() => database.destroy());

  // The lane reports to the counts and the counts look at the lane.
  const waiting = (): number => lane.waiting;
  const { counts, service, readHeartbeat } = createGatewayStats(
    createGatewayMetrics({ waiting, isBrokerConnected: () => watch.isConnected }),
    { waiting },
  );
  const publisher = createPublisher(connection, stream);
  const lane = createPublishQueues({
    publisher: isTracing() ? tracePublisher(publisher) : publisher,
    ...(isTracing() && { readOrigin: activeTraceparent }),
    deadlineMs: config.PUBLISH_DEADLINE_MS,
    // By the clock of the broker: counters refuse an id whose time is far from that of its storing.
    makeId: () => mintId(stream.brokerTimeMs()),
    waitingMax: config.WAITING_MAX,
    onPublished: (pack) => {
      readiness.published(pack.error);
      counts.published(pack);
    },
  });
  const readiness = createReadiness({
    isStopping: () => isStopping,
    isBrokerConnected: () => watch.isConnected,
    isStreamThere: () => stream.isConnected,
  });

  const app = await buildGateway({
    queues: lane,
    waitingMax: config.WAITING_MAX,
    database,
    counts,
    log,
    brokerTimeMs: stream.brokerTimeMs,
    rateLimit: {
      max: config.RATE_LIMIT_MAX,
      batchMax: config.RATE_LIMIT_BATCH_MAX,
      windowMs: config.RATE_LIMIT_WINDOW_MS,
      exchange: createBroadcast(connection, RATE_LIMIT_SUBJECT),
      nowMs: stream.brokerTimeMs,
    },
    trustProxy: config.TRUST_PROXY,
    apiKeys,
    tls,
    readiness,
    meshView: createMeshView({
      exchange: createBroadcast(connection, HEARTBEAT_SUBJECT),
      readOwn: readHeartbeat,
      isBrokerConnected: () => watch.isConnected,
    }),
  });
  stopSteps.push(sendHeartbeats(connection, watch, readHeartbeat), async () => {
    await new Promise((resolve) => setTimeout(resolve, READINESS_NOTICE_MS));
    await app.close();
    await lane.drain();
  });
  // Fastify hands its options on to Node, whose reusePort its types do not know yet.
  const address: FastifyListenOptions & { reusePort: boolean } = {
    host: config.HOST,
    port: config.PORT,
    reusePort: config.REUSE_PORT === 1,
  };
  await app.listen(address).catch((error: Error) => {
    throw new ConfigurationError([
      `nobody can listen on ${config.HOST}:${config.PORT} (${error.message}): choose another PORT or HOST`,
    ]);
  });
  answerDiscovery(connection, service);
  log.info({ address: app.server.address() }, 'the gateway is ready');
}

/** Waits a moment for the stream, then tells whenever it comes or goes. */
async function tellOfStream(stream: StreamWatch, log: Log): Promise<void> {
  const tell = (isThere: boolean) => {
    if (!isThere) {
      const remedy = '`npm start` or `npm run provision` makes it, if it was never made';
      log.warn(
        `no server stores the stream ${INCREMENTS}: increments wait, then get a 503. ${remedy}`,
      );
      return;
    }
    log.info(`the stream ${INCREMENTS} is there`);
    const aheadS = Math.round(stream.clockAheadMs / 1000);
    if (Math.abs(aheadS) > CLOCK_AHEAD_S_MAX) {
      log.warn(`this machine's clock is ${aheadS} s ahead of the broker's, whose time ids get`);
    }
  };
  await connectionChange(stream, STREAM_MS_MAX);
  tell(stream.isConnected);
  stream.onChange(tell);
}

/** @throws ConfigurationError for files that can't be read, are no PEM, or don't belong together. */
function readTls({ TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile }: GatewayConfig) {
  if (certFile === undefined || keyFile === undefined) return undefined;
  try {
    const tls = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
    createSecureContext(tls);
    return tls;
  } catch (error) {
    const files = `TLS_CERT_FILE "${certFile}" and TLS_KEY_FILE "${keyFile}"`;
    throw new ConfigurationError([
      `${files} can't be used (${(error as Error).message}): give a certificate and its key in PEM`,
    ]);
  }
}

main().catch((error: unknown) => {
  // What an operator can repair is one clear line, without a stack.
  const isExpected = error instanceof ConfigurationError || error instanceof CannotConnect;
  process.stderr.write(`gateway: ${isExpected ? error.message : (error as Error).stack}\n`);
  process.exit(1);
});
