import type { FastifyPluginCallbackTypebox } from '@fastify/type-provider-typebox';
import { Accepted, IncrementBody } from '../../schema/increment.ts';
import type { IncrementLane } from '../increment-lane.ts';
import type { GatewayCounts } from '../metrics.ts';

/** `POST /increment`: a 200 means that the increment is on disk. */
export const incrementRoutes: FastifyPluginCallbackTypebox<{
  lane: IncrementLane;
  counts: GatewayCounts;
}> = (app, { lane, counts }, done) => {
  const schema = { body: IncrementBody, response: { 200: Accepted } };
  app.post('/increment', { schema }, async (request) => {
    const { id, sequence } = await lane.commit(request.body);
    counts.accepted(1);
    return { accepted: 1, id, sequence };
  });
  done();
};
