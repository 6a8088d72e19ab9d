/*
 * Lets pages of the origins in CORS_ORIGINS call this gateway from a browser (the fetch standard's CORS). No
 * cookie is ever asked for: a page sends its API key itself.
 */
import fastifyCors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';
import fastifyPlugin from 'fastify-plugin';

/** How long a browser may remember what it was allowed; Chromium's maximum. */
const PREFLIGHT_S_MAX = 7_200;

/** Must be registered before what refuses requests: a page reads no refusal that lacks these fields. */
export const cors = fastifyPlugin(
  async (app: FastifyInstance, { corsOrigins }: { corsOrigins: string[] }) => {
    await app.register(fastifyCors, {
      origin: corsOrigins,
      methods: ['GET', 'HEAD', 'POST', 'DELETE'],
      allowedHeaders: [
        'authorization',
        'content-type',
        'idempotency-key',
        'if-none-match',
        'prefer',
        'traceparent',
        'tracestate',
        'x-request-id',
      ],
      exposedHeaders: [
        'idempotent-replayed',
        'ratelimit',
        'ratelimit-policy',
        'retry-after',
        'x-request-id',
      ],
      maxAge: PREFLIGHT_S_MAX,
      // Every OPTIONS is answered by its path, with Allow.
      preflightContinue: true,
      strictPreflight: false,
    });
  },
);
