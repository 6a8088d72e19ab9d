import type { FastifyPluginCallbackTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Kysely } from 'kysely';
import {
  Counter,
  CounterParams,
  CounterQuery,
  Counters,
  CountersQuery,
} from '../../schema/http/counter.ts';
import type { Database } from '../../schema/database/tables.ts';
import type { ProblemCode } from '../../schema/http/problem.ts';
import { ProblemError } from '../errors/problem-details.ts';
import { isReached, parseTarget, parseWaitSeconds } from './complete-target.ts';
import type { CompleteWaits } from './complete-waits.ts';
import type { DatabaseReads } from './database-reads.ts';
import { selectCounters, type Completeness, type CounterRow } from './select-counters.ts';

const READ_PROBLEMS: ProblemCode[] = [
  'invalid-request',
  'too-many-waiting',
  'stopping',
  'database-away',
  'not-yet-complete',
];

/** What a request asks of the counters' completeness. */
interface CompleteRequest {
  query: { at_least?: string };
  headers: FastifyRequest['headers'];
  signal: AbortSignal;
}

/** `GET /counters/{key}` and `GET /counters?key=…`: what PostgreSQL has, and how complete that is. */
export const counterRoutes: FastifyPluginCallbackTypebox<{
  database: Kysely<Database>;
  reads: DatabaseReads;
  waits: CompleteWaits;
}> = (app, { database, reads, waits }, done) => {
  /** Reads once, and once more where the client waits for more to be in the counters. */
  async function readCounters(
    keys: string[],
    request: CompleteRequest,
    reply: FastifyReply,
  ): Promise<{ byKey: Map<string, CounterRow>; complete: Completeness }> {
    const read = () => reads.read(() => selectCounters(database, keys));
    const { at_least } = request.query;
    const target = at_least === undefined ? undefined : parseTarget(at_least);
    let found = await read();
    if (target !== undefined && !isReached(found.complete, target)) {
      const waitS = parseWaitSeconds(request.headers['prefer'] as string | undefined);
      if (waitS > 0) {
        void reply.header('preference-applied', `wait=${waitS}`);
        const { signal } = request;
        if (await waits.until(target, { timeoutMs: waitS * 1_000, signal })) found = await read();
      }
      if (!isReached(found.complete, target)) throw notYetComplete(found.complete);
    }
    return {
      byKey: new Map(found.counters.map((counter) => [counter.key, counter])),
      complete: found.complete,
    };
  }

  const one = {
    summary: 'Read a counter',
    description: 'Its total, at most ten seconds behind. One that was never counted is a 404.',
    tags: ['Counters'],
    operationId: 'readCounter',
    params: CounterParams,
    querystring: CounterQuery,
    response: { 200: Counter },
  };
  const config = { scope: 'read' as const, problems: READ_PROBLEMS };
  const oneConfig = { ...config, problems: [...READ_PROBLEMS, 'no-such-counter' as const] };
  app.get('/counters/:key', { schema: one, config: oneConfig }, async (request, reply) => {
    const key = request.params.key.toLowerCase();
    const { byKey, complete } = await readCounters([key], request, reply);
    const counter = byKey.get(key);
    if (counter === undefined) {
      throw new ProblemError(
        'no-such-counter',
        `${key} is not counted. Increments are counted within ten seconds of their 200.`,
        undefined,
        describeComplete(complete),
      );
    }
    const updatedAt = counter.updated_at.toISOString();
    return { key, value: counter.value, updated_at: updatedAt, ...describeComplete(complete) };
  });

  const several = {
    summary: 'Read up to 100 counters',
    description: 'In the order asked. One that was never counted has the value `"0"`.',
    tags: ['Counters'],
    operationId: 'readCounters',
    querystring: CountersQuery,
    response: { 200: Counters },
  };
  app.get(
    '/counters',
    { schema: several, config, preValidation: listKeys },
    async (request, reply) => {
      const keys = request.query.key.map((key) => key.toLowerCase());
      const { byKey, complete } = await readCounters(keys, request, reply);
      const counters = keys.map((key) => {
        const counter = byKey.get(key);
        const updatedAt = counter?.updated_at.toISOString() ?? null;
        return { key, value: counter?.value ?? '0', updated_at: updatedAt };
      });
      return { counters, ...describeComplete(complete) };
    },
  );
  done();
};

/** Makes a single key a list of one. */
function listKeys(request: FastifyRequest, _reply: FastifyReply, next: () => void): void {
  const query = request.query as { key?: string | string[] };
  if (typeof query.key === 'string') query.key = [query.key];
  next();
}

function notYetComplete(complete: Completeness): ProblemError {
  const detail =
    'The counters are not that complete yet; `complete_through` and `complete_sequence` say how far they are. ' +
    'Ask again, or wait by `Prefer: wait=10`.';
  return new ProblemError('not-yet-complete', detail, undefined, describeComplete(complete));
}

/** The members of an answer that say how complete it is. */
export function describeComplete({ through, sequence }: Completeness) {
  return { complete_through: through?.toISOString() ?? null, complete_sequence: sequence };
}
