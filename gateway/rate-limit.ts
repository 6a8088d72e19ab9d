import fastifyRateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fastifyPlugin from 'fastify-plugin';
import { ProblemError } from './problem-details.ts';
import { createSharedLimit, type Exchange } from './shared-limit.ts';

export interface RateLimitOptions {
  /** Requests in a window for each client, over all gateways; 0 turns the limit off. */
  max: number;
  /** Increments in a window that a client may send in batches; 0 turns it off. */
  batchMax: number;
  windowMs: number;
  exchange: Exchange;
}

type Done = (error: null, result: { current: number; ttl: number }) => void;

/** Takes a batch's increments from its client's budget. @throws ProblemError 429 */
export type LimitBatch = (request: FastifyRequest, reply: FastifyReply, increments: number) => void;

declare module 'fastify' {
  interface FastifyInstance {
    limitBatch: LimitBatch;
  }
}

/**
 * Limits what a client may send, before its body is read: what is refused is never stored. Only
 * increments are limited; health and reads answer always.
 *
 * The library emits an older form of the headers, so it counts (in a store of ours that all gateways
 * share) and this file speaks: the `RateLimit` and `RateLimit-Policy` fields are those of
 * draft-ietf-httpapi-ratelimit-headers.
 */
export const rateLimit = fastifyPlugin(async (app: FastifyInstance, options: RateLimitOptions) => {
  const { max, batchMax, windowMs } = options;
  const limit = createSharedLimit(windowMs, options.exchange);
  app.addHook('onClose', () => limit.close());
  const windowS = Math.ceil(windowMs / 1000);

  app.decorate('limitBatch', (request: FastifyRequest, reply: FastifyReply, increments: number) => {
    if (batchMax === 0) return;
    const policy = `"increments";q=${batchMax};w=${windowS}`;
    const taken = limit.take(`increments ${clientOf(request)}`, batchMax, increments);
    const refusal = `More than ${batchMax} increments by batches in ${windowS} s.`;
    speak(reply, policy, 'increments', taken, refusal);
  });

  if (max === 0) return;
  await app.register(fastifyRateLimit, {
    global: false,
    store: class {
      incr(client: string, done: Done, _windowMs: number, allowed: number) {
        const { remaining, ttlMs } = limit.take(client, allowed, 1);
        done(null, { current: allowed - remaining, ttl: ttlMs });
      }
      child() {
        return this;
      }
    },
  });
  const count = app.createRateLimit({
    max: (request: FastifyRequest) => request.apiKey?.rate_limit_max ?? max,
    timeWindow: windowMs,
    keyGenerator: clientOf,
  });

  app.addHook('onRequest', async (request, reply) => {
    if (request.method !== 'POST') return;
    const result = await count(request);
    if (result.isAllowed) return;
    const taken = { remaining: result.isExceeded ? -1 : result.remaining, ttlMs: result.ttl };
    const policy = `"default";q=${result.max};w=${windowS}`;
    speak(reply, policy, 'default', taken, `More than ${result.max} requests in ${windowS} s.`);
  });
});

/** Whose limit it is: the API key's, by its name, or an address where auth is off. */
function clientOf(request: FastifyRequest): string {
  return request.apiKey === undefined ? request.ip : `key ${request.apiKey.name}`;
}

function speak(
  reply: FastifyReply,
  policy: string,
  name: string,
  { remaining, ttlMs }: { remaining: number; ttlMs: number },
  refusal: string,
): void {
  const ttlS = Math.max(1, Math.ceil(ttlMs / 1000));
  reply.header('ratelimit-policy', policy);
  reply.header('ratelimit', `"${name}";r=${Math.max(0, remaining)};t=${ttlS}`);
  if (remaining >= 0) return;
  reply.header('retry-after', ttlS);
  throw new ProblemError(
    429,
    'rate-limited',
    `${refusal} Nothing was stored; retry after the time given.`,
  );
}
