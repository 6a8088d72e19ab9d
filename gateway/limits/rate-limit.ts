import fastifyRateLimit, { type FastifyRateLimitStore } from '@fastify/rate-limit';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fastifyPlugin from 'fastify-plugin';
import type { Channel } from '../../nats/channel.ts';
import { ProblemError } from '../errors/problem-details.ts';
import { canonicalAddress } from './client-address.ts';
import { createSharedLimit, type SharedLimit } from './shared-limit.ts';

export interface RateLimitOptions {
  /** Requests in a window for each client, over all gateways; 0 turns the limit off. */
  max: number;
  /** Increments in a window that a client may send in batches; 0 turns it off. */
  batchMax: number;
  windowMs: number;
  /** The channel on which gateways share what clients have used. */
  channel: Channel;
}

/**
 * Takes a batch's increments from its client's budget.
 *
 * @throws ProblemError 429, or 413 if the batch is larger than the whole budget.
 */
export type LimitBatch = (
  request: FastifyRequest,
  reply: FastifyReply,
  increments: number,
) => Promise<void>;

declare module 'fastify' {
  interface FastifyInstance {
    limitBatch: LimitBatch;
  }
}

/** One limit as the header fields name it. */
interface Policy {
  name: 'default' | 'increments';
  max: number;
  windowMs: number;
  /** What is counted. */
  unit: string;
}

/**
 * Limits what a client may send, before its body is read: a refused request stores nothing. Only increments
 * are limited; health and reads always answer.
 *
 * The `RateLimit` and `RateLimit-Policy` fields are those of draft-ietf-httpapi-ratelimit-headers.
 */
export const rateLimit = fastifyPlugin(async (app: FastifyInstance, options: RateLimitOptions) => {
  const { max, batchMax, windowMs } = options;
  const shared = createSharedLimit(windowMs, options.channel);
  app.addHook('onClose', () => shared.close());

  await app.register(fastifyRateLimit, { global: false, store: storeOf(shared) });
  const takeRequest = app.createRateLimit({
    timeWindow: windowMs,
    max: (request) => limitOf(request, max),
    keyGenerator: clientOf,
  });
  const limitRequest = (
    request: FastifyRequest,
    reply: FastifyReply,
    next: () => void,
  ): Promise<void> | undefined => {
    const own = limitOf(request, max);
    if (own > 0) {
      const policy: Policy = { name: 'default', max: own, windowMs, unit: 'requests' };
      // The library's promises cost a request a seventh of its time; most are allowed here at once. Others are
      // left to the library, since a refusal has taken nothing.
      const here = shared.takeHere(clientOf(request), own, 1);
      if (here?.isAllowed !== true) return askLibrary(request, reply, policy);
      addLimitHeaders(reply, policy, here.remaining, here.ttlMs);
    }
    next();
    return undefined;
  };

  async function askLibrary(request: FastifyRequest, reply: FastifyReply, policy: Policy) {
    const taken = await takeRequest(request);
    if (taken.isAllowed) return;
    addLimitHeaders(reply, policy, taken.remaining, taken.ttl);
    if (taken.isExceeded) throw tooMany(reply, policy, taken.ttl);
  }

  // Where nothing can be stored nothing is counted: with API keys no address is among the clients.
  app.addHook('onRoute', (route) => {
    if (route.config?.scope !== 'write') return;
    // After the API key, which the limit depends on.
    route.onRequest = [...[route.onRequest ?? []].flat(), limitRequest];
  });

  const budget: Policy = {
    name: 'increments',
    max: batchMax,
    windowMs,
    unit: 'batched increments',
  };
  app.decorate('limitBatch', async (request: FastifyRequest, reply: FastifyReply, cost: number) => {
    if (batchMax === 0) return;
    if (cost > batchMax) throw largerThanBudget(budget, cost);
    const client = `increments ${clientOf(request)}`;
    const { remaining, isAllowed, ttlMs } = await shared.take(client, batchMax, cost);
    addLimitHeaders(reply, budget, remaining, ttlMs);
    if (!isAllowed) throw tooMany(reply, budget, ttlMs);
  });
});

/** A key's own limit also holds if the general one is off. */
function limitOf({ apiKey }: FastifyRequest, max: number): number {
  return apiKey?.rate_limit_max ?? max;
}

/** The client that a limit is for: the name of the API key, or an address if authentication is off. */
function clientOf(request: FastifyRequest): string {
  if (request.apiKey !== undefined) return `key ${request.apiKey.name}`;
  return `address ${canonicalAddress((request as { ip?: string }).ip)}`;
}

/** The library's store, on top of the limit that all gateways share. */
function storeOf(shared: SharedLimit) {
  return class SharedStore implements FastifyRateLimitStore {
    incr(...[client, done, , max]: Parameters<FastifyRateLimitStore['incr']>): void {
      const taken = shared.take(client, max, 1);
      if (taken instanceof Promise) void taken.then(report);
      else report(taken);

      function report({ isAllowed, remaining, ttlMs }: Awaited<typeof taken>): void {
        done(null, { current: isAllowed ? max - remaining : max + 1, ttl: ttlMs });
      }
    }

    child(): FastifyRateLimitStore {
      return this;
    }
  };
}

/** Adds to the header fields, since a batch has two limits. */
function addLimitHeaders(
  reply: FastifyReply,
  { name, max, windowMs }: Policy,
  remaining: number,
  ttlMs: number,
): void {
  const windowS = Math.ceil(windowMs / 1000);
  addItem(reply, 'ratelimit-policy', `"${name}";q=${max};w=${windowS}`);
  addItem(reply, 'ratelimit', `"${name}";r=${remaining};t=${inSeconds(ttlMs)}`);
}

function addItem(reply: FastifyReply, field: string, item: string): void {
  const before = reply.getHeader(field);
  reply.header(field, before === undefined ? item : `${String(before)}, ${item}`);
}

function tooMany(reply: FastifyReply, { max, windowMs, unit }: Policy, ttlMs: number) {
  reply.header('retry-after', inSeconds(ttlMs));
  return new ProblemError(
    'rate-limited',
    `More than ${max} ${unit} in ${windowMs / 1000} s. Nothing was stored; retry after the seconds in Retry-After.`,
  );
}

/** Not a 429, after which a client retries: no window has room for this batch. */
function largerThanBudget({ max, windowMs }: Policy, cost: number): ProblemError {
  return new ProblemError(
    'body-too-large',
    `The batch has ${cost} increments, more than the ${max} that a client may send in batches within ` +
      `${windowMs / 1000} s: send smaller ones.`,
  );
}

/** Rounded up, so that a client that waits finds room. */
function inSeconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1000));
}
