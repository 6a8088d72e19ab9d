import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import fastify, { type FastifyBaseLogger, type FastifyInstance } from 'fastify';
import type { Kysely } from 'kysely';
import type { Database } from '../schema/database/tables.ts';
import { isTracing } from '../telemetry/tracing.ts';
import type { ApiKeys } from './auth/api-keys.ts';
import { auth } from './auth/auth.ts';
import { auditLog } from './auth/audit-log.ts';
import { foreignPages, type ForeignPagesOptions } from './auth/foreign-pages.ts';
import { cors } from './auth/cors.ts';
import type { ClearRequests } from './clear/clear-requests.ts';
import { clearRoutes } from './clear/clear-routes.ts';
import { consoleRoutes } from './console/console-routes.ts';
import type { MeshView } from './console/mesh-view.ts';
import { collectPaths } from './errors/other-methods.ts';
import { answerExpectations } from './errors/expect-continue.ts';
import { answerPreRoutingErrors } from './errors/pre-routing-errors.ts';
import { createErrorHandler, ProblemError, sendProblem } from './errors/problem-details.ts';
import type { DatabaseWatch } from './health/database-watch.ts';
import type { Diagnosis } from './health/diagnosis.ts';
import { healthRoutes } from './health/health-routes.ts';
import type { Readiness } from './health/readiness.ts';
import { serverOptions, type TlsFiles } from './http-server.ts';
import { addBodyParsers } from './increments/body-parsers.ts';
import { incrementRoutes } from './increments/increment-routes.ts';
import type { PublishQueues } from './increments/publish-queues.ts';
import { connections } from './limits/connections.ts';
import { overload } from './limits/overload.ts';
import { rateLimit, type RateLimitOptions } from './limits/rate-limit.ts';
import { stalledConnections } from './limits/stalled-connections.ts';
import { compileValidator, refuseUnknownQueries } from './openapi/no-query.ts';
import { openapi } from './openapi/openapi.ts';
import { counterRoutes } from './reads/counter-routes.ts';
import { createCompleteWaits } from './reads/complete-waits.ts';
import { createDatabaseReads } from './reads/database-reads.ts';
import { messageRoutes } from './reads/message-routes.ts';
import { selectCompleteness } from './reads/select-counters.ts';
import { securityHeaders } from './security-headers.ts';
import { expectAnswers } from './telemetry/expected-answers.ts';
import { requestLog } from './telemetry/request-log.ts';
import type { AnsweredRequest, Stats } from './telemetry/stats.ts';
import { requestTracing } from './telemetry/tracing.ts';

export interface GatewayOptions {
  queues: PublishQueues;
  /** How many increments may wait, and how many repeats of increments. */
  waitingMax: number;
  database: Kysely<Database>;
  /** Asks counter services to clear a counter. */
  clears: ClearRequests;
  stats: Stats;
  rateLimit: RateLimitOptions;
  /** Connections from one address. */
  connectionsPerAddressMax: number;
  /** After which an idle connection is closed. */
  keepAliveTimeoutMs: number;
  /** If absent, every client may do everything. */
  apiKeys?: ApiKeys | undefined;
  /** The hosts that requests may name where there are no API keys. */
  hosts: ForeignPagesOptions;
  /** Origins whose pages may call the gateway. */
  corsOrigins: string[];
  /** If absent, the gateway uses plain HTTP. */
  tls?: TlsFiles | undefined;
  /** The clock that ids are made by, in milliseconds since 1970. */
  brokerTimeMs: () => number;
  /** Proxies whose X-Forwarded-For is trusted. */
  trustProxy?: string | undefined;
  /** What /readyz answers; at a stop it becomes false first. */
  readiness: Readiness;
  databaseWatch: Pick<DatabaseWatch, 'read'>;
  /** Says once for a while that counters can't be read. */
  warnOfDatabase: (error: unknown) => void;
  diagnosis: Pick<Diagnosis, 'findings'>;
  /** What the console shows. */
  meshView: MeshView;
  log: FastifyBaseLogger;
}

declare module 'fastify' {
  interface FastifyRequest extends Omit<AnsweredRequest, 'method' | 'routeOptions'> {}
}

/** Builds the HTTP side of a gateway, without its process and its port. */
export async function buildGateway(options: GatewayOptions) {
  const { log, stats } = options;
  const handleError = createErrorHandler(log);
  const headers = securityHeaders(options.tls !== undefined);
  const app = fastify({
    // A logger for each request costs more than its answer; a log line names its request instead.
    logger: false,
    ...serverOptions(options.tls, options.keepAliveTimeoutMs),
    trustProxy: options.trustProxy ?? false,
    ...answerPreRoutingErrors(stats, handleError, headers),
  }).withTypeProvider<TypeBoxTypeProvider>();

  const answerOtherMethods = collectPaths(app);
  app.setValidatorCompiler(compileValidator);
  app.setErrorHandler(handleError);
  app.setNotFoundHandler((request, reply) => {
    sendProblem(request, reply, new ProblemError('no-such-route', 'There is no such path.'));
  });
  addBodyParsers(app);
  addRequestHooks(app, options, headers);
  app.addHook('onRoute', expectAnswers(stats, { hasKeys: options.apiKeys !== undefined }));

  const reads = createDatabaseReads(options.warnOfDatabase);
  const waits = createCompleteWaits(() => reads.read(() => selectCompleteness(options.database)));

  if (isTracing()) await app.register(requestTracing);
  if (log.level === 'debug') await app.register(requestLog, options);
  await app.register(auditLog, options);
  if (options.corsOrigins.length > 0) await app.register(cors, options);
  if (options.apiKeys === undefined) await app.register(foreignPages, options.hosts);
  refuseUnknownQueries(app);
  await app.register(openapi, options);
  await app.register(overload);
  await app.register(auth, { apiKeys: options.apiKeys });
  await app.register(rateLimit, options.rateLimit);
  answerExpectations(app);
  await app.register(incrementRoutes, options);
  await app.register(counterRoutes, { ...options, reads, waits });
  await app.register(clearRoutes, { ...options, reads });
  await app.register(messageRoutes, { ...options, reads });
  await app.register(healthRoutes, options);
  await app.register(consoleRoutes, options);
  await app.register(connections, {
    perAddressMax: options.connectionsPerAddressMax,
    ...options,
  });
  await app.register(stalledConnections, {
    drain: () => {
      waits.stop();
      return Promise.all([options.queues.drain(), reads.drain(), options.clears.drain()]);
    },
  });
  answerOtherMethods();
  return app;
}

/** The hooks that every request runs first and last. */
function addRequestHooks(
  app: FastifyInstance,
  { stats, readiness }: GatewayOptions,
  headers: Record<string, string>,
): void {
  app.decorateRequest('startedAt', 0);
  app.decorateRequest('problemCode', undefined);
  app.decorateRequest('incrementCount', 0);
  app.addHook('onRequest', (request, reply, done) => {
    request.startedAt = performance.now();
    reply.header('x-request-id', request.id).headers(headers);
    const { host, 'content-encoding': coding } = request.headers;
    if (host === undefined && request.raw.httpVersionMinor === 1)
      done(new ProblemError('bad-request', 'An HTTP/1.1 request must have a Host header.'));
    else if (host?.includes(',') === true)
      done(new ProblemError('bad-request', 'A request must have one Host header, not several.'));
    else if (coding !== undefined && coding.toLowerCase() !== 'identity')
      done(new ProblemError('unsupported-media-type', 'Send the body without a Content-Encoding.'));
    else done();
  });
  // Counted before it is sent: a listener for the end of each response costs a tenth of its time.
  app.addHook('onSend', (request, reply, payload, done) => {
    stats.answered(reply.statusCode, request);
    // Tells the client to move to another gateway before this one is gone. Set at the end, since the
    // stop may have begun while the request waited.
    if (readiness.isStopping()) reply.header('connection', 'close');
    done(null, payload);
  });
}
