import type { FastifyPluginCallbackTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { digest, encodeIncrement } from '../../schema/envelope.ts';
import { Accepted, IncrementBody } from '../../schema/increment.ts';
import { createRecentKeys, readIdempotencyKey } from '../idempotency-key.ts';
import type { IncrementLane } from '../increment-lane.ts';
import type { GatewayCounts } from '../metrics.ts';
import { errorAnswers } from '../openapi.ts';
import { readJsonBatch, readNdjsonBatch } from '../read-batch.ts';

/**
 * Whose idempotency keys these are: the API key's, by its name, which outlives a rotated secret; one
 * scope for everyone where auth is off. Never an address.
 */
function scopeOf(request: FastifyRequest): string {
  return request.apiKey === undefined ? 'public' : `key:${request.apiKey.name}`;
}

const BATCH_BYTES_MAX = 1024 * 1024;

/** `POST /increment` and `POST /increments`: a 200 means that what was sent is on disk. */
export const incrementRoutes: FastifyPluginCallbackTypebox<{
  lane: IncrementLane;
  counts: GatewayCounts;
}> = (app, { lane, counts }, done) => {
  const recentKeys = createRecentKeys();
  const response = { 200: Accepted, ...errorAnswers(400, 401, 403, 413, 415, 422, 429, 503) };
  const schema = { summary: 'Count one increment', body: IncrementBody, response };

  app.post('/increment', { schema, config: { scope: 'write' } }, async (request, reply) => {
    const { key, value } = request.body;
    const idempotencyKey = readIdempotencyKey(request.headers['idempotency-key']);
    if (idempotencyKey === undefined) {
      const { id, sequence } = await lane.commit({ key, value });
      counts.accepted(1);
      return { accepted: 1, id, sequence };
    }

    const once = `${scopeOf(request)}/${idempotencyKey}`;
    const payload = `${key.toLowerCase()} ${value}`;
    const { receipt, isReplay } = await recentKeys.commitOnce(once, payload, () =>
      lane.commit({ key, value, once }),
    );
    if (isReplay) reply.header('idempotent-replayed', 'true');
    else counts.accepted(1);
    return { accepted: 1, id: receipt.id, sequence: receipt.sequence };
  });

  const batch = {
    schema: { summary: 'Count up to 10 000 increments, all or none', response },
    bodyLimit: BATCH_BYTES_MAX,
    config: { isBatch: true, scope: 'write' as const },
  };
  app.post<{ Body: string }>('/increments', batch, async (request, reply) => {
    const isLines = request.headers['content-type']?.startsWith('application/x-ndjson') === true;
    const { increments, text } = (isLines ? readNdjsonBatch : readJsonBatch)(request.body);
    const accepted = increments.length;
    app.limitBatch(request, reply, accepted);
    const idempotencyKey = readIdempotencyKey(request.headers['idempotency-key']);
    if (idempotencyKey === undefined) {
      const { id, sequence } = await lane.commitBatch({ increments: text, count: accepted });
      counts.accepted(accepted);
      return { accepted, id, sequence };
    }

    const once = `${scopeOf(request)}/${idempotencyKey}`;
    const payload = digest(increments.map(encodeIncrement).join(','));
    const { receipt, isReplay } = await recentKeys.commitOnce(once, payload, () =>
      lane.commitBatch({ increments: text, count: accepted, once }),
    );
    if (isReplay) reply.header('idempotent-replayed', 'true');
    else counts.accepted(accepted);
    return { accepted, id: receipt.id, sequence: receipt.sequence };
  });
  done();
};
