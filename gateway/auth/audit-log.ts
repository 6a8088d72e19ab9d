/*
 * Who was refused, who cleared a counter, and which keys came and went. Never a secret; and a bounded number of lines, so that no
 * client fills a disk.
 */
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest } from 'fastify';
import fastifyPlugin from 'fastify-plugin';
import type { ApiKey } from '../../schema/http/api-keys.ts';
import { canonicalAddress } from '../limits/client-address.ts';
import type { KeyChange } from './api-keys.ts';

const WINDOW_MS = 60_000;
/** In a window, from all addresses and from one: some 20 MB a day at most. */
const LINES_MAX = 60;
const LINES_PER_ADDRESS_MAX = 10;
/** Names of keys in a line. */
const NAMES_MAX = 50;

const STATUSES = new Set([401, 403, 421]);

/** Logs a line for each request that was refused for want of a key, a scope or the right host. */
export const auditLog = fastifyPlugin(
  (app: FastifyInstance, { log }: { log: FastifyBaseLogger }, done) => {
    const budget = createLineBudget();
    const timer = setInterval(() => {
      const left = budget.restart();
      if (left > 0) log.warn({ requests: left }, 'more requests were refused');
    }, WINDOW_MS).unref();
    app.addHook('onClose', () => clearInterval(timer));
    app.addHook('onSend', (request, reply, payload, next) => {
      if (STATUSES.has(reply.statusCode)) {
        const address = canonicalAddress((request as { ip?: string }).ip);
        if (budget.take(address))
          log.warn({ address, ...describe(request) }, 'a request was refused');
      }
      next(null, payload);
    });
    done();
  },
);

/** Logs the names of keys that came, went or changed. */
export function logKeyChange(log: FastifyBaseLogger, change: KeyChange): void {
  const { added, removed, changed } = change;
  const names = [added, removed, changed].map((each) => each.slice(0, NAMES_MAX));
  log.info(
    { added: names[0], removed: names[1], changed: names[2] },
    `API keys have changed: ${added.length} added, ${removed.length} removed, ${changed.length} changed`,
  );
}

/** Logs who cleared a counter, and what it had; without a value it is unknown whether it was cleared. */
export function logClear(
  log: FastifyBaseLogger,
  clear: { key: string; value?: string; by: string; requestId: string },
): void {
  const { key: counter, value, by, requestId } = clear;
  const verb = value === undefined ? 'may have been' : 'was';
  // Counter services bound how many there are.
  log.info({ counter, value, by, requestId }, `a counter ${verb} cleared`);
}

/** Lines that may be written in a window; the others are counted. */
export function createLineBudget() {
  let lines = 0;
  let leftOut = 0;
  /** Only addresses with a line, so there are LINES_MAX of them at most. */
  const byAddress = new Map<string, number>();
  return {
    /** Whether a line about this address may be written. */
    take(address: string): boolean {
      const own = byAddress.get(address) ?? 0;
      if (lines >= LINES_MAX || own >= LINES_PER_ADDRESS_MAX) {
        leftOut++;
        return false;
      }
      lines++;
      byAddress.set(address, own + 1);
      return true;
    },
    /** Begins the next window. Returns how many lines the last one left out. */
    restart(): number {
      const count = leftOut;
      lines = leftOut = 0;
      byAddress.clear();
      return count;
    },
  };
}

function describe({ method, routeOptions, problemCode, apiKey, headers, id }: FastifyRequest) {
  return {
    method,
    route: routeOptions.url,
    reason: problemCode === 'unauthorized' ? reasonOf(headers.authorization, apiKey) : problemCode,
    key: apiKey?.name,
    requestId: id,
  };
}

function reasonOf(authorization: string | undefined, key: ApiKey | undefined): string {
  if (key !== undefined) return 'expired-key';
  return authorization === undefined ? 'no-key' : 'unknown-key';
}
