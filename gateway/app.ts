import { TypeBoxValidatorCompiler, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import fastify, { type FastifyBaseLogger } from 'fastify';
import type { Kysely } from 'kysely';
import { randomUUID } from 'node:crypto';
import type { Database } from '../schema/database/tables.ts';
import { describeDatabaseError } from '../schema/database/describe-database-error.ts';
import { parseExactJson } from '../schema/int64.ts';
import { isTracing } from '../telemetry/tracing.ts';
import { throttleWarnings } from '../telemetry/throttled-warning.ts';
import type { ApiKeys } from './auth/api-keys.ts';
import { auth } from './auth/auth.ts';
import type { MeshView } from './console/mesh-view.ts';
import { stalledConnections } from './limits/stalled-connections.ts';
import type { PublishQueues } from './increments/publish-queues.ts';
import type { AnsweredRequest, GatewayCounts } from './telemetry/metrics.ts';
import { openapi } from './openapi/openapi.ts';
import { overload } from './limits/overload.ts';
import { createErrorHandler, ProblemError, sendProblem } from './errors/problem-details.ts';
import { rateLimit, type RateLimitOptions } from './limits/rate-limit.ts';
import type { Readiness } from './health/readiness.ts';
import { createDatabaseReads } from './reads/database-reads.ts';
import { requestLog } from './telemetry/request-log.ts';
import { consoleRoutes } from './console/console-routes.ts';
import { counterRoutes } from './reads/counter-routes.ts';
import { healthRoutes } from './health/health-routes.ts';
import { incrementRoutes } from './increments/increment-routes.ts';
import { messageRoutes } from './reads/message-routes.ts';
import { requestTracing } from './telemetry/tracing.ts';
import { answerPreRoutingErrors } from './errors/pre-routing-errors.ts';

/** An increment is some 80 bytes; this leaves room for any formatting. */
const BODY_BYTES_MAX = 4_096;
const HEADER_BYTES_MAX = 16_384;
const CONNECTIONS_MAX = 10_000;
/** From the first byte to the last of a request: a client that dribbles is cut off. */
const REQUEST_TIMEOUT_MS = 10_000;
const HEADERS_TIMEOUT_MS = 5_000;
/** Above the 60 s for which many load balancers keep idle connections. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000;

/** A client's own request id is kept where it is short and harmless in a log. */
const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;

export interface GatewayOptions {
  queues: PublishQueues;
  /** Repeats of increments that may wait, as many as increments. */
  waitingMax: number;
  database: Kysely<Database>;
  counts: GatewayCounts;
  rateLimit: RateLimitOptions;
  /** Who may do what; left out, everyone may do everything. */
  apiKeys?: ApiKeys | undefined;
  /** Certificate and key in PEM; left out, the gateway speaks plain HTTP. */
  tls?: { cert: Buffer; key: Buffer } | undefined;
  /** The clock by which ids are made. */
  brokerTimeMs: () => number;
  /** Proxies whose X-Forwarded-For is believed. */
  trustProxy?: string | undefined;
  /** What /readyz says; stopping makes it false first. */
  readiness: Readiness;
  /** What the console shows. */
  meshView: MeshView;
  log: FastifyBaseLogger;
}

declare module 'fastify' {
  interface FastifyRequest extends Omit<AnsweredRequest, 'method' | 'routeOptions'> {}
  interface FastifyContextConfig {
    /** The route reads its body itself, as a batch of increments. */
    isBatch?: boolean;
  }
}

/** Builds the HTTP side of a gateway, without a process or a port around it. */
export async function buildGateway(options: GatewayOptions) {
  const handleError = createErrorHandler(options.log);
  const app = fastify({
    // A log of its own for each request costs more than its answer: what is logged names the request.
    logger: false,
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    connectionTimeout: 0,
    ...serverOptions(options.tls),
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    trustProxy: options.trustProxy ?? false,
    genReqId: createRequestIds(),
    ...answerPreRoutingErrors(options.counts, handleError),
  }).withTypeProvider<TypeBoxTypeProvider>();
  app.server.maxConnections = CONNECTIONS_MAX;
  // An expectation that is not known may be ignored; Node's own refusal would be an empty answer.
  app.server.on('checkExpectation', (request, response) =>
    app.server.emit('request', request, response),
  );

  app.setValidatorCompiler(TypeBoxValidatorCompiler);
  app.setErrorHandler(handleError);
  app.setNotFoundHandler((request, reply) => {
    const detail = `There is no ${request.method} on this path.`;
    sendProblem(request, reply, new ProblemError('no-such-route', detail));
  });

  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    // A batch keeps its text, which goes into the message as it is.
    if (request.routeOptions.config.isBatch === true) {
      done(null, body);
      return;
    }
    try {
      done(null, parseExactJson(body as string));
    } catch (error) {
      // A RangeError is nesting that is too deep to walk.
      const detail = `The body is not JSON: ${(error as Error).message}`;
      done(new ProblemError('invalid-json', detail));
    }
  });

  app.addContentTypeParser('application/x-ndjson', { parseAs: 'string' }, (request, body, done) => {
    if (request.routeOptions.config.isBatch === true) done(null, body);
    else done(new ProblemError('unsupported-media-type', 'Send application/json here.'));
  });

  app.decorateRequest('startedAt', 0);
  app.decorateRequest('problemCode', undefined);
  app.decorateRequest('incrementCount', 0);
  app.addHook('onRequest', (request, reply, done) => {
    request.startedAt = performance.now();
    reply.header('x-request-id', request.id);
    const { host, 'content-encoding': coding } = request.headers;
    if (host === undefined && request.raw.httpVersionMinor === 1)
      done(new ProblemError('bad-request', 'A request by HTTP/1.1 must have a Host header.'));
    else if (coding !== undefined && coding !== 'identity')
      done(new ProblemError('unsupported-media-type', 'Send the body without a Content-Encoding.'));
    else done();
  });
  // Counted when it is sent: listening for the end of each response costs a tenth of its time.
  app.addHook('onSend', (request, reply, payload, done) => {
    options.counts.answered(reply.statusCode, request);
    // A client that is told so moves to another gateway before this one is gone. Said at the end,
    // since the stop may have begun while the request waited.
    if (options.readiness.isStopping()) reply.header('connection', 'close');
    done(null, payload);
  });

  if (isTracing()) await app.register(requestTracing);
  if (options.log.level === 'debug') await app.register(requestLog, options);
  await app.register(openapi);
  await app.register(overload);
  await app.register(auth, { apiKeys: options.apiKeys });
  await app.register(rateLimit, options.rateLimit);
  await app.register(incrementRoutes, options);
  const warn = throttleWarnings(options.log);
  const warnOfDatabase = (error: unknown) =>
    warn(`counters can't be read: ${describeDatabaseError(error)}`);
  const reads = createDatabaseReads(warnOfDatabase);
  const reading = { ...options, reads };
  await app.register(counterRoutes, reading);
  await app.register(messageRoutes, reading);
  await app.register(healthRoutes, { ...options, warnOfDatabase });
  await app.register(consoleRoutes, options);
  await app.register(stalledConnections, {
    drain: () => Promise.all([options.queues.drain(), reads.settle()]),
  });
  return app;
}

/** Fastify's types tell HTTP and HTTPS apart; here they are the same but for the certificate. */
function serverOptions(tls: GatewayOptions['tls']): { http: object } {
  const limits = {
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: HEADERS_TIMEOUT_MS,
    // The time-outs are looked at this often; by default only every 30 s.
    connectionsCheckingInterval: 1_000,
    // Node's own refusal would be an empty answer; the first hook refuses.
    requireHostHeader: false,
  };
  if (tls === undefined) return { http: limits };
  const https: object = { ...limits, ...tls };
  return { https } as unknown as { http: object };
}

/** Ids that are unique over all gateways and cost next to nothing to make. */
function createRequestIds() {
  const prefix = randomUUID().slice(0, 8);
  let count = 0;
  return (request: { headers: Record<string, string | string[] | undefined> }) => {
    const given = request.headers['x-request-id'];
    if (typeof given === 'string' && REQUEST_ID.test(given)) return given;
    return `${prefix}-${(++count).toString(36)}`;
  };
}
