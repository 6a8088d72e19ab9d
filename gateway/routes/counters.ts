import type { FastifyPluginCallbackTypebox } from '@fastify/type-provider-typebox';
import type { Kysely } from 'kysely';
import { Counter, CounterParams } from '../../schema/counter.ts';
import type { Database } from '../../schema/database.ts';
import { ProblemError } from '../problem-details.ts';

/** `GET /counters/{key}`: what PostgreSQL has, at most ten seconds behind. */
export const counterRoutes: FastifyPluginCallbackTypebox<{ database: Kysely<Database> }> = (
  app,
  { database },
  done,
) => {
  const schema = { params: CounterParams, response: { 200: Counter } };
  app.get('/counters/:key', { schema }, async (request) => {
    const key = request.params.key.toLowerCase();
    const counter = await readCounter(database, key).catch((error: unknown) => {
      request.log.warn({ err: error }, 'a counter could not be read');
      const detail = 'PostgreSQL can not be read now; increments are accepted all the same.';
      throw new ProblemError(503, 'database-away', detail);
    });
    if (counter === undefined)
      throw new ProblemError(404, 'no-such-counter', `${key} was never counted.`);
    return { key, value: counter.value, updated_at: counter.updated_at.toISOString() };
  });
  done();
};

function readCounter(database: Kysely<Database>, key: string) {
  return database
    .selectFrom('increments')
    .select(['value', 'updated_at'])
    .where('key', '=', key)
    .executeTakeFirst();
}
