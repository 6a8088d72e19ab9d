import { sql, type Kysely } from 'kysely';
import type { FastifyPluginCallback } from 'fastify';
import { Liveness, NotReady, Ready } from '../../schema/health.ts';
import type { Database } from '../../schema/database.ts';
import type { Readiness } from '../readiness.ts';

/** How long /readyz waits for the database, which it only reports. */
const PROBE_MS = 1_000;

export interface HealthOptions {
  database: Kysely<Database>;
  warnOfDatabase: (error: unknown) => void;
  readiness: Readiness;
}

/**
 * `/livez` asks nobody. `/readyz` is 503 only when increments can't be accepted: with PostgreSQL
 * away they still are, so it says so and stays 200.
 */
export const healthRoutes: FastifyPluginCallback<HealthOptions> = (app, options, done) => {
  const { readiness } = options;
  const alive = {
    summary: 'Whether the process answers',
    tags: ['Health'],
    operationId: 'isAlive',
    response: { 200: Liveness },
  };
  app.get('/livez', { schema: alive }, () => ({ status: 'ok' }));

  const ready = {
    summary: 'Whether increments can be accepted',
    tags: ['Health'],
    operationId: 'isReady',
    response: { 200: Ready, 503: NotReady },
  };
  app.get('/readyz', { schema: ready }, async (_request, reply) => {
    const database = (await answers(options)) ? 'connected' : 'away';
    const stream = readiness.readStream();
    const broker = readiness.readBroker();
    const isStopping = readiness.isStopping();
    const isReady = stream === 'ready' && !isStopping;
    const status = isStopping ? 'stopping' : isReady ? 'ready' : 'not ready';
    return reply.code(isReady ? 200 : 503).send({ status, broker, stream, database });
  });
  done();
};

/** Asks for the table itself: a database that was never migrated answers nobody. */
async function answers({ database, warnOfDatabase }: HealthOptions): Promise<boolean> {
  const timeout = new Promise<false>((resolve) => setTimeout(resolve, PROBE_MS, false).unref());
  const probe = sql`select from increments limit 0`.execute(database).then(
    () => true,
    (error: unknown) => {
      warnOfDatabase(error);
      return false;
    },
  );
  return Promise.race([probe, timeout]);
}
