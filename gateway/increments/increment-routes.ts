import type { FastifyPluginCallbackTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Accepted } from '../../schema/http/accepted.ts';
import type { ProblemCode } from '../../schema/http/problem.ts';
import { IncrementBody, toIncrement, type Increment } from '../../schema/increment.ts';
import { digestIncrements, encodeIncrement } from '../../schema/message/envelope.ts';
import { ProblemError } from '../errors/problem-details.ts';
import type { Stats } from '../telemetry/stats.ts';
import { addBatchParsers } from './body-parsers.ts';
import type { Receipt } from './group-commit.ts';
import { readIdempotencyKey } from './idempotency-key.ts';
import { measureJsonBatch, measureNdjsonBatch } from './measure-batch.ts';
import type { PublishQueues } from './publish-queues.ts';
import { readJsonBatch, readNdjsonBatch } from './read-batch.ts';
import { createRecentKeys } from './recent-keys.ts';

const BATCH_BYTES_MAX = 1024 * 1024;
const BODY_MISSING =
  'The body is missing: send an array of increments as application/json, or lines of application/x-ndjson.';

const JSON_BATCH = { measure: measureJsonBatch, read: readJsonBatch };
const BATCH_FORMATS: Record<string, typeof JSON_BATCH> = {
  'application/x-ndjson': { measure: measureNdjsonBatch, read: readNdjsonBatch },
};

const INCREMENT_PROBLEMS: ProblemCode[] = [
  'invalid-request',
  'invalid-json',
  'invalid-idempotency-key',
  'body-too-large',
  'unsupported-media-type',
  'idempotency-key-reused',
  'rate-limited',
  'broker-unavailable',
  'outcome-unknown',
  'stream-full',
  'stream-refused',
  'too-many-waiting',
  'overloaded',
  'stopping',
];

/** `POST /increment` and `POST /increments`: a 200 means that what was sent is on disk. */
export const incrementRoutes: FastifyPluginCallbackTypebox<{
  queues: PublishQueues;
  stats: Stats;
  waitingMax: number;
}> = (app, { queues, stats, waitingMax }, done) => {
  const recentKeys = createRecentKeys(waitingMax);
  const response = { 200: Accepted };
  const config = { scope: 'write' as const, problems: INCREMENT_PROBLEMS };

  const one = {
    schema: {
      summary: 'Count one increment',
      description: 'The 200 comes when it is on disk; it is counted within ten seconds.',
      tags: ['Increments'],
      operationId: 'increment',
      body: IncrementBody,
      response,
    },
    config,
  };
  app.post('/increment', one, (request, reply) => {
    const { key, value } = toIncrement(request.body);
    request.incrementCount = 1;
    return accept(request, reply, {
      readPayload: () => writePayload([{ key, value }]),
      commit: (idempotencyKey) => queues.store({ key, value, idempotency_key: idempotencyKey }),
    });
  });

  const many = {
    schema: {
      summary: 'Count up to 10 000 increments, all or none',
      description:
        'An array as JSON, or one increment a line as NDJSON; at most 1 MiB. An Idempotency-Key covers all of it.',
      tags: ['Increments'],
      operationId: 'incrementMany',
      response,
    },
    bodyLimit: BATCH_BYTES_MAX,
    config: { ...config, isBatch: true },
  };
  void app.register((batches, _options, registered) => {
    addBatchParsers(batches);
    batches.post<{ Body: string | undefined }>('/increments', many, async (request, reply) => {
      // Without a content type there may be no body either.
      if (request.body === undefined) throw new ProblemError('invalid-json', BODY_MISSING);
      const { measure, read } = BATCH_FORMATS[request.mediaType ?? ''] ?? JSON_BATCH;
      // The budget is taken before the body is parsed, which is what costs time.
      request.incrementCount = measure(request.body);
      await app.limitBatch(request, reply, request.incrementCount);
      const { increments, text } = read(request.body);
      const count = (request.incrementCount = increments.length);
      return accept(request, reply, {
        readPayload: () => writePayload(increments),
        commit: (idempotencyKey) => queues.storeBatch({ increments: text, count, idempotencyKey }),
      });
    });
    registered();
  });

  /** Commits what was sent, only once if it has an Idempotency-Key, and answers. */
  async function accept(request: FastifyRequest, reply: FastifyReply, sent: Sent) {
    const { readPayload, commit } = sent;
    const count = request.incrementCount;
    const clientKey = readIdempotencyKey(request.headers['idempotency-key']);
    if (clientKey === undefined) {
      const { id, sequence } = await commit(undefined);
      stats.accepted(count);
      return { accepted: count, id, sequence };
    }
    const key = `${principalOf(request)}/${clientKey}`;
    const { receipt, isReplay } = await recentKeys.storeOnce(key, readPayload(), () => commit(key));
    if (isReplay) reply.header('idempotent-replayed', 'true');
    else stats.accepted(count);
    return { accepted: count, id: receipt.id, sequence: receipt.sequence };
  }
  done();
};

interface Sent {
  /** What a repeat under the same key must equal; called only if there is a key. */
  readPayload: () => string;
  commit: (idempotencyKey: string | undefined) => Promise<Receipt>;
}

/** What a repeat must equal, by whichever route it comes: a digest only where the text may be long. */
function writePayload(increments: Increment[]): string {
  const [first, ...others] = increments;
  return first !== undefined && others.length === 0
    ? encodeIncrement({ key: first.key, value: first.value })
    : digestIncrements(increments);
}

/**
 * The scope of idempotency keys: the name of the API key, which outlives a rotated secret; one for everyone
 * if authentication is off. Never an address.
 */
function principalOf(request: FastifyRequest): string {
  return request.apiKey === undefined ? 'public' : `key:${request.apiKey.name}`;
}
