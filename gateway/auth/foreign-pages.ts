/*
 * Keeps the pages of other sites out of a gateway without authentication. A browser lets any page send
 * requests to this machine and its network. A page reads the answers too if it makes its own name resolve to
 * the gateway's address (DNS rebinding): then only the Host tells. With API keys there is nothing to keep
 * out, since no browser adds a key by itself.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import type { FastifyInstance } from 'fastify';
import fastifyPlugin from 'fastify-plugin';
import { isLoopback } from '../../schema/settings/loopback.ts';
import { ProblemError } from '../errors/problem-details.ts';
import { remember } from '../limits/remember.ts';

export interface ForeignPagesOptions {
  /** What the gateway listens on: an address or a name. */
  listeningHost: string;
  /** Names of the gateway, and of sites whose pages may call it; in lower case, without ports. */
  allowedHosts: string[];
  /** Origins whose pages may call the gateway, as browsers write them. */
  allowedOrigins: string[];
  /** Whether clients reach the gateway by other addresses than those of loopback. */
  hasOtherAddresses: boolean;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A health probe, which answers whatever name it is asked by. */
    isProbe?: boolean;
  }
}

/** What is read of a request. */
export interface BrowserRequest {
  method: string;
  headers: IncomingHttpHeaders;
}

/** `name`, `192.0.2.1` or `[2001:db8::1]`, each with or without a port. */
const HOST = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+?)\.?)(?::\d{1,5})?$/i;
/** Of what a client sent, in an error. */
const SHOWN_LENGTH_MAX = 100;

export const foreignPages = fastifyPlugin(
  (app: FastifyInstance, options: ForeignPagesOptions, done) => {
    const findForeign = createForeignCheck(options);
    app.addHook('onRequest', (request, _reply, next) => {
      const problem = findForeign(request);
      // Looked up only here: Fastify makes routeOptions anew at each access.
      if (problem === undefined || request.routeOptions.config.isProbe === true) next();
      else next(problem);
    });
    done();
  },
);

/**
 * Returns a function that finds the problem with a request that a page of another site may have made;
 * undefined if there is none.
 *
 * The Host is checked as it was sent: a page can set X-Forwarded-Host, but not Host.
 */
export function createForeignCheck(options: ForeignPagesOptions) {
  const isOwn = remember((host) => isOwnHost(host, options));
  return (request: BrowserRequest): ProblemError | undefined => {
    const { host, origin } = request.headers;
    // HTTP/1.0 may come without; browsers always send it.
    if (host !== undefined && !isOwn(host)) {
      return new ProblemError(
        'misdirected',
        `This gateway does not answer to the host ${quote(host)}. Without authentication it answers to ` +
          'localhost, to its addresses and to the names in ALLOWED_HOSTS.',
      );
    }
    if (isFromElsewhere(request, options)) {
      const page = origin === undefined ? 'A page of another site' : `A page of ${quote(origin)}`;
      return new ProblemError(
        'cross-origin',
        `${page} may not call this gateway. Without authentication only its own pages may, and those of ` +
          'CORS_ORIGINS and of the hosts in ALLOWED_HOSTS.',
      );
    }
    return undefined;
  };
}

function isOwnHost(
  host: string,
  { listeningHost, allowedHosts, hasOtherAddresses }: ForeignPagesOptions,
): boolean {
  const name = nameOf(host);
  if (name === undefined) return false;
  if (isLoopback(name) || name === listeningHost || allowedHosts.includes(name)) return true;
  // Nobody can make an address resolve to another one, as they can with a name.
  return hasOtherAddresses && isIP(name) !== 0;
}

/**
 * As Go's http.CrossOriginProtection: browsers say in Sec-Fetch-Site where a request comes from; those that
 * do not say it send an Origin. Reads are checked too, since each costs something; only following a link
 * to this gateway is always allowed.
 */
function isFromElsewhere(
  { method, headers }: BrowserRequest,
  { allowedHosts, allowedOrigins }: ForeignPagesOptions,
): boolean {
  const { origin, host, 'sec-fetch-site': site } = headers;
  if (site === 'same-origin' || site === 'none') return false;
  if (site === undefined && origin === undefined) return false;
  if (origin !== undefined && allowedOrigins.includes(origin)) return false;
  const isLink =
    headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document';
  if (isLink && (method === 'GET' || method === 'HEAD')) return false;
  const page = origin !== undefined && URL.canParse(origin) ? new URL(origin) : undefined;
  if (page === undefined) return true;
  if (allowedHosts.includes(nameOf(page.host) ?? '')) return false;
  // A browser that says where the request comes from has said that it is another origin.
  return site !== undefined || page.host !== hostWithin(page.protocol, host);
}

/** A Host as URLs write it: without the port that the protocol implies. */
function hostWithin(protocol: string, host: string | undefined): string | undefined {
  const url = `${protocol}//${host ?? ''}`;
  return URL.canParse(url) ? new URL(url).host : undefined;
}

function nameOf(host: string): string | undefined {
  const [, address, name] = HOST.exec(host) ?? [];
  return (address ?? name)?.toLowerCase();
}

function quote(text: string): string {
  return `"${text.slice(0, SHOWN_LENGTH_MAX)}"`;
}
