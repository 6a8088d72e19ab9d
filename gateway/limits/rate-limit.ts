import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fastifyPlugin from 'fastify-plugin';
import { isIPv6 } from 'node:net';
import type { Broadcast } from '../../nats/broadcast.ts';
import { ProblemError } from '../errors/problem-details.ts';
import { createSharedLimit } from './shared-limit.ts';

export interface RateLimitOptions {
  /** Requests in a window for each client, over all gateways; 0 turns the limit off. */
  max: number;
  /** Increments in a window that a client may send in batches; 0 turns it off. */
  batchMax: number;
  windowMs: number;
  exchange: Broadcast;
  /** The clock that all gateways share. */
  nowMs: () => number;
}

/** Takes a batch's increments from its client's budget. @throws ProblemError 429, or 413 for more than it ever has */
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
 * The `RateLimit` and `RateLimit-Policy` fields are those of draft-ietf-httpapi-ratelimit-headers.
 */
export const rateLimit = fastifyPlugin((app: FastifyInstance, options: RateLimitOptions, done) => {
  const { max, batchMax, windowMs } = options;
  const limit = createSharedLimit(windowMs, options.exchange, options.nowMs);
  app.addHook('onClose', () => limit.close());
  const windowS = Math.ceil(windowMs / 1000);

  app.decorate('limitBatch', (request: FastifyRequest, reply: FastifyReply, increments: number) => {
    if (batchMax === 0) return;
    // To come again later, as a 429 says, would never help.
    if (increments > batchMax) {
      const budget = `the ${batchMax} that a client may send by batches in ${windowS} s`;
      const detail = `The batch has ${increments} increments, more than ${budget}: send smaller ones.`;
      throw new ProblemError('body-too-large', detail);
    }
    const policy = `"increments";q=${batchMax};w=${windowS}`;
    const taken = limit.take(`increments ${clientOf(request)}`, batchMax, increments);
    const refusal = `More than ${batchMax} increments by batches in ${windowS} s.`;
    applyLimit(reply, policy, 'increments', taken, refusal);
  });

  if (max > 0) {
    app.addHook('onRequest', (request, reply, next) => {
      if (request.method === 'POST') {
        const allowed = request.apiKey?.rate_limit_max ?? max;
        const policy = `"default";q=${allowed};w=${windowS}`;
        const taken = limit.take(clientOf(request), allowed, 1);
        applyLimit(
          reply,
          policy,
          'default',
          taken,
          `More than ${allowed} requests in ${windowS} s.`,
        );
      }
      next();
    });
  }
  done();
});

/**
 * Whose limit it is: the API key's, by its name, or where auth is off an address. Of IPv6 it is the
 * /64 network, since whoever has one address of it has them all.
 */
function clientOf(request: FastifyRequest): string {
  if (request.apiKey !== undefined) return `key ${request.apiKey.name}`;
  // Whoever has reset the connection meanwhile has no address any more, whatever Fastify's types say.
  const { ip = 'gone' } = request as { ip?: string };
  if (!ip.includes(':') || !isIPv6(ip) || ip.includes('.')) return ip;
  const [head = [], tail = []] = ip.split('::').map((half) => half.split(':').filter(Boolean));
  const zeros = Array<string>(8 - head.length - tail.length).fill('0');
  return `${[...head, ...zeros, ...tail].slice(0, 4).join(':')}::/64`;
}

function applyLimit(
  reply: FastifyReply,
  policy: string,
  name: string,
  { remaining, ttlMs }: { remaining: number; ttlMs: number },
  refusal: string,
): void {
  const ttlS = Math.max(1, Math.ceil(ttlMs / 1000));
  addItem(reply, 'ratelimit-policy', policy);
  addItem(reply, 'ratelimit', `"${name}";r=${Math.max(0, remaining)};t=${ttlS}`);
  if (remaining >= 0) return;
  reply.header('retry-after', ttlS);
  throw new ProblemError(
    'rate-limited',
    `${refusal} Nothing was stored; retry after the time given.`,
  );
}

/** A batch has two budgets, which the fields list. */
function addItem(reply: FastifyReply, field: string, item: string): void {
  const before = reply.getHeader(field);
  reply.header(field, before === undefined ? item : `${String(before)}, ${item}`);
}
