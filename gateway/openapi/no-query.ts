import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';

/** Of a route without query parameters. */
export const NO_QUERY = Type.Object({}, { additionalProperties: false });

/** Refuses unknown query parameters on every documented route that is added from now on. */
export function refuseUnknownQueries(app: FastifyInstance): void {
  app.addHook('onRoute', (route) => {
    if (route.schema?.summary === undefined) return;
    route.schema = { querystring: NO_QUERY, ...route.schema };
  });
}
