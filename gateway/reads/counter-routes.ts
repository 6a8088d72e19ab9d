import type { FastifyPluginCallbackTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Kysely } from 'kysely';
import { Counter, CounterParams, Counters, CountersQuery } from '../../schema/http/counter.ts';
import type { Database } from '../../schema/database/tables.ts';
import type { ProblemCode } from '../../schema/http/problem.ts';
import { ProblemError } from '../errors/problem-details.ts';
import type { DatabaseReads } from './database-reads.ts';

const READ_PROBLEMS: ProblemCode[] = ['invalid-request', 'too-many-waiting', 'database-away'];

/** `GET /counters/{key}` and `GET /counters?key=…`: what PostgreSQL has, at most ten seconds behind. */
export const counterRoutes: FastifyPluginCallbackTypebox<{
  database: Kysely<Database>;
  reads: DatabaseReads;
}> = (app, { database, reads }, done) => {
  const one = {
    summary: 'Read a counter',
    description: 'Its total, at most ten seconds behind. One that was never counted is a 404.',
    tags: ['Counters'],
    operationId: 'readCounter',
    params: CounterParams,
    response: { 200: Counter },
  };
  const config = { scope: 'read' as const, problems: READ_PROBLEMS };
  const oneConfig = { ...config, problems: [...READ_PROBLEMS, 'no-such-counter' as const] };
  app.get('/counters/:key', { schema: one, config: oneConfig }, async (request) => {
    const key = request.params.key.toLowerCase();
    const [counter] = await reads.read(() => selectCounters(database, [key]));
    if (counter === undefined) {
      throw new ProblemError(
        'no-such-counter',
        `${key} is not counted. Increments are counted within ten seconds of their 200.`,
      );
    }
    return { key, value: counter.value, updated_at: counter.updated_at.toISOString() };
  });

  const several = {
    summary: 'Read up to 100 counters',
    description: 'In the order asked. One that was never counted has the value `"0"`.',
    tags: ['Counters'],
    operationId: 'readCounters',
    querystring: CountersQuery,
    response: { 200: Counters },
  };
  app.get('/counters', { schema: several, config, preValidation: listKeys }, async (request) => {
    const keys = request.query.key.map((key) => key.toLowerCase());
    const found = await reads.read(() => selectCounters(database, keys));
    const byKey = new Map(found.map((counter) => [counter.key, counter]));
    const counters = keys.map((key) => {
      const counter = byKey.get(key);
      const updatedAt = counter?.updated_at.toISOString() ?? null;
      return { key, value: counter?.value ?? '0', updated_at: updatedAt };
    });
    return { counters };
  });
  done();
};

/** Makes a single key a list of one. */
function listKeys(request: FastifyRequest, _reply: FastifyReply, next: () => void): void {
  const query = request.query as { key?: string | string[] };
  if (typeof query.key === 'string') query.key = [query.key];
  next();
}

/** By lower-case keys; those that were never counted are missing. */
export function selectCounters(database: Kysely<Database>, keys: string[]) {
  return database
    .selectFrom('increments')
    .select(['key', 'value', 'updated_at'])
    .where('key', 'in', keys)
    .execute();
}
