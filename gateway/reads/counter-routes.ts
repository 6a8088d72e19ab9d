import type { FastifyPluginCallbackTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Kysely } from 'kysely';
import {
  Counter,
  CounterParams,
  CounterQuery,
  Counters,
  CountersAnswer,
  CountersQuery,
  KeysBody,
  LIST_DEFAULT,
  NDJSON,
} from '../../schema/http/counter.ts';
import type { Database } from '../../schema/database/tables.ts';
import type { ProblemCode } from '../../schema/http/problem.ts';
import type { ApiKeys } from '../auth/api-keys.ts';
import { hasScope } from '../auth/auth.ts';
import { ProblemError } from '../errors/problem-details.ts';
import { addBodyParsers } from '../increments/body-parsers.ts';
import { measureKeys } from './measure-keys.ts';
import { createCompleteReads, type CompleteRequest } from './complete-reads.ts';
import type { CompleteWaits } from './complete-waits.ts';
import { readCounterLines } from './counter-lines.ts';
import { createCounterStreams } from './counter-streams.ts';
import type { DatabaseReads } from './database-reads.ts';
import { asksForLines, checkQuery, listKeys, refuseOtherBodies } from './read-queries.ts';
import {
  describeComplete,
  listCounters,
  selectCompleteness,
  selectCounters,
  type CounterRow,
} from './select-counters.ts';

const READ_PROBLEMS: ProblemCode[] = [
  'invalid-request',
  'too-many-waiting',
  'stopping',
  'database-away',
  'not-yet-complete',
];

const QUERY_PROBLEMS: ProblemCode[] = [
  ...READ_PROBLEMS,
  'invalid-json',
  'body-too-large',
  'unsupported-media-type',
  'overloaded',
];

/** Ten thousand keys, with room for any formatting. */
const QUERY_BYTES_MAX = 1024 * 1024;

/** `GET /counters/{key}`, `GET /counters` and `POST /counters/query`: what PostgreSQL has. */
export const counterRoutes: FastifyPluginCallbackTypebox<{
  database: Kysely<Database>;
  reads: DatabaseReads;
  waits: CompleteWaits;
  apiKeys?: ApiKeys | undefined;
}> = (app, { database, reads, waits, apiKeys }, done) => {
  const { readRows } = createCompleteReads(reads, waits);
  const streams = createCounterStreams(reads);
  app.addHook('preClose', (next) => {
    streams.stop();
    next();
  });

  async function readKeys(given: string[], request: CompleteRequest, reply: FastifyReply) {
    const keys = given.map((key) => key.toLowerCase());
    const query = () => selectCounters(database, keys);
    const { counters, complete } = await readRows(keys.length, query, { request, reply });
    const byKey = new Map(counters.map((counter) => [counter.key, counter]));
    return {
      counters: keys.map((key) => asAnswer(byKey.get(key) ?? { key })),
      ...describeComplete(complete),
    };
  }

  const one = {
    summary: 'Read a counter',
    description:
      'Its total, at most ten seconds behind. One that is not counted, or not yet, is a 404.',
    tags: ['Counters'],
    operationId: 'readCounter',
    params: CounterParams,
    querystring: CounterQuery,
    response: { 200: Counter },
  };
  const config = { scope: 'read' as const, problems: READ_PROBLEMS };
  const oneConfig = { ...config, problems: [...READ_PROBLEMS, 'no-such-counter' as const] };
  app.get('/counters/:key', { schema: one, config: oneConfig }, async (request, reply) => {
    const { counters, ...complete } = await readKeys([request.params.key], request, reply);
    const [{ key, value, updated_at: updatedAt }] = counters as [CounterAnswer];
    if (updatedAt === null) {
      throw new ProblemError(
        'no-such-counter',
        describeUncounted(key, complete),
        undefined,
        complete,
      );
    }
    return { key, value, updated_at: updatedAt, ...complete };
  });

  const several = {
    summary: 'Read up to 100 counters, or list all of them',
    description: 'By `key` in the order asked; without, all of them in the order of keys.',
    tags: ['Counters'],
    operationId: 'readCounters',
    querystring: CountersQuery,
    response: {
      200: CountersAnswer,
    },
  };
  app.get(
    '/counters',
    { schema: several, config, preValidation: listKeys },
    async (request, reply) => {
      const { key: keys, after: given, limit = LIST_DEFAULT } = request.query;
      const after = given?.toLowerCase();
      const isForLines = asksForLines(request.headers.accept);
      checkQuery(request.query, isForLines);
      if (keys !== undefined) return readKeys(keys, request, reply);
      if (isForLines) return sendLines(after, request, reply);
      // One more tells whether there is a next part.
      const list = () => listCounters(database, { after, limit: limit + 1 });
      const { counters, complete } = await readRows(limit, list, { request, reply });
      const page = counters.slice(0, limit);
      const next = counters.length > limit ? page.at(-1)!.key : null;
      return { counters: page.map(asAnswer), next, ...describeComplete(complete) };
    },
  );

  /** Waits until the counters are as complete as is asked, so that a later snapshot is too. */
  async function sendLines(
    after: string | undefined,
    request: FastifyRequest<{ Querystring: CountersQuery }>,
    reply: FastifyReply,
  ): Promise<FastifyReply> {
    const look = async () => ({ complete: await selectCompleteness(database) });
    await readRows(0, look, { request, reply });
    void reply.type(`${NDJSON}; charset=utf-8`);
    if (request.method === 'HEAD') return reply.send();
    // It takes minutes where its client reads slowly, and ends with its key.
    const mayRead = () => {
      const { apiKey } = request;
      const current = apiKey && apiKeys?.readAgain(apiKey);
      return apiKey === undefined || (current !== undefined && hasScope(current, ['read']));
    };
    return reply.send(await streams.open(() => readCounterLines(database, after), mayRead));
  }

  const query = {
    schema: {
      summary: 'Read up to 10 000 counters',
      description: 'In the order asked. One that was never counted has the value `"0"`.',
      tags: ['Counters'],
      operationId: 'queryCounters',
      querystring: CounterQuery,
      body: KeysBody,
      response: { 200: Counters },
    },
    bodyLimit: QUERY_BYTES_MAX,
    config: { ...config, problems: QUERY_PROBLEMS },
    preValidation: refuseOtherBodies,
  };
  void app.register((queries, _options, registered) => {
    addBodyParsers(queries, measureKeys);
    queries.post<{ Body: { keys: string[] }; Querystring: { at_least?: string } }>(
      '/counters/query',
      query,
      (request, reply) => readKeys(request.body.keys, request, reply),
    );
    registered();
  });
  done();
};

/** True of a key that was just accepted and of one that never was: whoever asks knows which it is. */
function describeUncounted(
  key: string,
  { complete_through: through }: ReturnType<typeof describeComplete>,
): string {
  const known =
    through === null ? '' : ` The counters have every increment from before ${through}.`;
  return `${key} is not counted yet: an increment is, within 10 s of its 200.${known}`;
}

interface CounterAnswer {
  key: string;
  value: string;
  updated_at: string | null;
}

/** A key without a counter has the value that it would have. */
function asAnswer(counter: { key: string } & Partial<CounterRow>): CounterAnswer {
  const { key, value = '0', updated_at: updatedAt } = counter;
  return { key, value, updated_at: updatedAt?.toISOString() ?? null };
}
