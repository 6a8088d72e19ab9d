import type { FastifyPluginCallback } from 'fastify';
import { Liveness, NotReady, Ready } from '../../schema/http/health.ts';
import type { DatabaseWatch } from './database-watch.ts';
import type { Diagnosis } from './diagnosis.ts';
import type { Readiness } from './readiness.ts';

export interface HealthOptions {
  databaseWatch: Pick<DatabaseWatch, 'read'>;
  readiness: Readiness;
  diagnosis: Pick<Diagnosis, 'findings'>;
}

/**
 * `/livez` checks nothing else. `/readyz` is 503 only if increments can't be accepted: without PostgreSQL
 * they still are, so it reports that and stays 200. It looks at nothing itself, so that no number of
 * requests is a load.
 */
export const healthRoutes: FastifyPluginCallback<HealthOptions> = (app, options, done) => {
  const { readiness, databaseWatch, diagnosis } = options;
  const alive = {
    summary: 'Whether the process answers',
    description: 'It looks at nothing else.',
    tags: ['Health'],
    operationId: 'isAlive',
    response: { 200: Liveness },
  };
  // Load balancers ask by address.
  const config = { isProbe: true };
  app.get('/livez', { schema: alive, config }, () => ({ status: 'ok' }));

  const ready = {
    summary: 'Whether increments can be accepted',
    description:
      'Without PostgreSQL they still can. The answer says what keeps them from it, and what else is wrong ' +
      'with the mesh as this gateway sees it.',
    tags: ['Health'],
    operationId: 'isReady',
    response: { 200: Ready, 503: NotReady },
  };
  app.get('/readyz', { schema: ready, config }, async (_request, reply) => {
    const { state, parked } = await databaseWatch.read();
    const stream = readiness.readStream();
    const isStopping = readiness.isStopping();
    const isReady = stream === 'ready' && !isStopping;
    return reply.code(isReady ? 200 : 503).send({
      status: isStopping ? 'stopping' : isReady ? 'ready' : 'not ready',
      broker: readiness.readBroker(),
      stream,
      reason: isReady ? null : readiness.readReason(),
      database: state === 'answers' ? 'connected' : 'away',
      parked_messages: parked?.messages ?? null,
      // Without the evidence, which names machines and users: anybody may ask.
      findings: diagnosis.findings.map(({ name, level, cause, effect, next, runbook }) => ({
        name,
        level,
        cause,
        effect,
        next,
        runbook,
      })),
    });
  });
  done();
};
