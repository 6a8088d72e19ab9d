import fastifyRateLimit from '@fastify/rate-limit';
import type { FastifyInstance } from 'fastify';
import fastifyPlugin from 'fastify-plugin';
import { ProblemError } from './problem-details.ts';

export interface RateLimitOptions {
  /** Requests in a window for each client address; 0 turns the limit off. */
  max: number;
  windowMs: number;
}

/** Addresses that are remembered at once; the least recently seen is forgotten first. */
const CLIENTS_MAX = 50_000;

/**
 * Limits what a client may send, before its body is read. Only increments are limited: health and
 * metrics must answer always.
 *
 * The library emits an older form of the headers, so it counts and this file speaks: the
 * `RateLimit` and `RateLimit-Policy` fields are those of draft-ietf-httpapi-ratelimit-headers.
 */
export const rateLimit = fastifyPlugin(async (app: FastifyInstance, options: RateLimitOptions) => {
  if (options.max === 0) return;
  await app.register(fastifyRateLimit, { global: false, cache: CLIENTS_MAX });
  const count = app.createRateLimit({ max: options.max, timeWindow: options.windowMs });
  const windowS = Math.ceil(options.windowMs / 1000);
  const policy = `"default";q=${options.max};w=${windowS}`;

  app.addHook('onRequest', async (request, reply) => {
    if (request.method !== 'POST') return;
    const result = await count(request);
    if (result.isAllowed) return;
    reply.header('ratelimit-policy', policy);
    reply.header('ratelimit', `"default";r=${result.remaining};t=${result.ttlInSeconds}`);
    if (!result.isExceeded) return;
    reply.header('retry-after', Math.max(1, result.ttlInSeconds));
    throw new ProblemError(
      429,
      'rate-limited',
      `More than ${options.max} requests in ${windowS} s. Nothing was stored; retry after the time given.`,
    );
  });
});
