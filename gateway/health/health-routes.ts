import { sql, type Kysely } from 'kysely';
import type { FastifyPluginCallback } from 'fastify';
import { Liveness, NotReady, Ready } from '../../schema/http/health.ts';
import type { Database } from '../../schema/database/tables.ts';
import type { Readiness } from './readiness.ts';

/** How long /readyz waits for the database, whose state it only reports. */
const PROBE_MS = 1_000;
/** Requests within this time get the same answer, so that no number of them is a load. */
const KNOWN_MS = 1_000;
/** How many requests may wait for one probe; the others get the answer before. */
const PROBE_WAITING_MAX = 1_000;

export interface HealthOptions {
  database: Kysely<Database>;
  warnOfDatabase: (error: unknown) => void;
  readiness: Readiness;
}

/**
 * `/livez` checks nothing else. `/readyz` is 503 only if increments can't be accepted: without PostgreSQL
 * they still are, so it reports that and stays 200.
 */
export const healthRoutes: FastifyPluginCallback<HealthOptions> = (app, options, done) => {
  const { readiness } = options;
  const isDatabaseConnected = probeDatabase(options);
  const alive = {
    summary: 'Whether the process answers',
    tags: ['Health'],
    operationId: 'isAlive',
    response: { 200: Liveness },
  };
  // Load balancers ask by address.
  const config = { isProbe: true };
  app.get('/livez', { schema: alive, config }, () => ({ status: 'ok' }));

  const ready = {
    summary: 'Whether increments can be accepted',
    tags: ['Health'],
    operationId: 'isReady',
    response: { 200: Ready, 503: NotReady },
  };
  app.get('/readyz', { schema: ready, config }, async (_request, reply) => {
    const database = (await isDatabaseConnected()) ? 'connected' : 'away';
    const stream = readiness.readStream();
    const broker = readiness.readBroker();
    const isStopping = readiness.isStopping();
    const isReady = stream === 'ready' && !isStopping;
    const status = isStopping ? 'stopping' : isReady ? 'ready' : 'not ready';
    return reply.code(isReady ? 200 : 503).send({ status, broker, stream, database });
  });
  done();
};

/** Returns a function that tells whether the database answers; its answer is KNOWN_MS old at most. */
function probeDatabase({ database, warnOfDatabase }: HealthOptions): () => Promise<boolean> {
  let isConnected = false;
  let askedAt = -Infinity;
  let answer: Promise<void> | undefined;
  let waiting = 0;

  /** Queries the table itself: a database that was never migrated does not count as connected. */
  async function probe(): Promise<void> {
    askedAt = performance.now();
    isConnected = await new Promise<boolean>((resolve) => {
      setTimeout(resolve, PROBE_MS, false).unref();
      sql`select from increments limit 0`.execute(database).then(
        () => resolve(true),
        (error: unknown) => {
          warnOfDatabase(error);
          resolve(false);
        },
      );
    });
    answer = undefined;
  }

  return async () => {
    if (performance.now() - askedAt > KNOWN_MS) answer ??= probe();
    if (answer !== undefined && waiting < PROBE_WAITING_MAX) {
      waiting++;
      await answer;
      waiting--;
    }
    return isConnected;
  };
}
