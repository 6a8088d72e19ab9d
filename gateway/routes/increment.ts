import type { FastifyPluginCallbackTypebox } from '@fastify/type-provider-typebox';
import { Accepted, IncrementBody } from '../../schema/increment.ts';
import { createRecentKeys, readIdempotencyKey } from '../idempotency-key.ts';
import type { IncrementLane } from '../increment-lane.ts';
import type { GatewayCounts } from '../metrics.ts';

/** Whose idempotency keys these are, where nobody is told apart. Never an address. */
const SHARED_SCOPE = 'public';

/** `POST /increment`: a 200 means that the increment is on disk. */
export const incrementRoutes: FastifyPluginCallbackTypebox<{
  lane: IncrementLane;
  counts: GatewayCounts;
}> = (app, { lane, counts }, done) => {
  const recentKeys = createRecentKeys();
  const schema = { body: IncrementBody, response: { 200: Accepted } };

  app.post('/increment', { schema }, async (request, reply) => {
    const { key, value } = request.body;
    const idempotencyKey = readIdempotencyKey(request.headers['idempotency-key']);
    if (idempotencyKey === undefined) {
      const { id, sequence } = await lane.commit({ key, value });
      counts.accepted(1);
      return { accepted: 1, id, sequence };
    }

    const once = `${SHARED_SCOPE}/${idempotencyKey}`;
    const payload = `${key.toLowerCase()} ${value}`;
    const { receipt, isReplay } = await recentKeys.commitOnce(once, payload, () =>
      lane.commit({ key, value, once }),
    );
    if (isReplay) reply.header('idempotent-replayed', 'true');
    else counts.accepted(1);
    return { accepted: 1, id: receipt.id, sequence: receipt.sequence };
  });
  done();
};
