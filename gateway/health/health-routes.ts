import { sql, type Kysely } from 'kysely';
import type { FastifyPluginCallback } from 'fastify';
import { Liveness, NotReady, Ready } from '../../schema/http/health.ts';
import { readParkedState, type ParkedState } from '../../schema/database/parked-state.ts';
import type { Database } from '../../schema/database/tables.ts';
import type { Readiness } from './readiness.ts';

/** How long /readyz waits for the database, whose state it only reports. */
const PROBE_MS = 1_000;
/** Requests within this time get the same answer, so that no number of them is a load. */
const KNOWN_MS = 1_000;
/** What is parked is counted anew after this time: it takes longer than to ask whether the database answers. */
const PARKED_KNOWN_MS = 5_000;
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
  const readDatabase = probeDatabase(options);
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
    description: 'Without PostgreSQL they still can. The answer says what keeps them from it.',
    tags: ['Health'],
    operationId: 'isReady',
    response: { 200: Ready, 503: NotReady },
  };
  app.get('/readyz', { schema: ready, config }, async (_request, reply) => {
    const parked = await readDatabase();
    const database = parked === undefined ? 'away' : 'connected';
    const stream = readiness.readStream();
    const broker = readiness.readBroker();
    const isStopping = readiness.isStopping();
    const isReady = stream === 'ready' && !isStopping;
    const status = isStopping ? 'stopping' : isReady ? 'ready' : 'not ready';
    return reply.code(isReady ? 200 : 503).send({
      status,
      broker,
      stream,
      reason: isReady ? null : readiness.readReason(),
      database,
      parked_messages: parked?.messages ?? null,
    });
  });
  done();
};

/**
 * Returns a function that tells what is parked in the database, undefined if that does not answer; its
 * answer is KNOWN_MS old at most.
 */
function probeDatabase({
  database,
  warnOfDatabase,
}: HealthOptions): () => Promise<ParkedState | undefined> {
  let parked: ParkedState | undefined;
  let parkedReadAt = -Infinity;
  let askedAt = -Infinity;
  let answer: Promise<void> | undefined;
  let waiting = 0;

  /** Queries the tables themselves: a database that was never migrated does not count as connected. */
  async function probe(): Promise<void> {
    askedAt = performance.now();
    parked = await new Promise<ParkedState | undefined>((resolve) => {
      setTimeout(resolve, PROBE_MS, undefined).unref();
      sql`select from increments limit 0`
        .execute(database)
        .then(readParked)
        .then(resolve, (error: unknown) => {
          warnOfDatabase(error);
          resolve(undefined);
        });
    });
    answer = undefined;
  }

  async function readParked(): Promise<ParkedState> {
    const now = performance.now();
    if (parked !== undefined && now - parkedReadAt < PARKED_KNOWN_MS) return parked;
    parkedReadAt = now;
    return readParkedState(database);
  }

  return async () => {
    if (performance.now() - askedAt > KNOWN_MS) answer ??= probe();
    if (answer !== undefined && waiting < PROBE_WAITING_MAX) {
      waiting++;
      await answer;
      waiting--;
    }
    return parked;
  };
}
