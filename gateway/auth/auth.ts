import type { FastifyInstance, onRequestHookHandler } from 'fastify';
import fastifyPlugin from 'fastify-plugin';
import type { ApiKey, Scope } from '../../schema/http/api-keys.ts';
import type { ApiKeys } from './api-keys.ts';
import { ProblemError } from '../errors/problem-details.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The API key of a request; undefined if authentication is off. */
    apiKey: ApiKey | undefined;
  }
  interface FastifyContextConfig {
    /** The scope that a route requires, or several of which one is enough; none for health. */
    scope?: Scope | Scope[];
  }
}

/** RFC 6750 with RFC 9110: the scheme in any case, then one space or more. */
const BEARER = /^Bearer +([\x21-\x7e]{1,512})$/i;

/**
 * Requires a bearer key on every route with a scope that is added from now on (RFC 6750). It runs before the
 * rate limit, which depends on the key, and before a body is read.
 *
 * Each such route gets a hook of its own, which knows its scope: Fastify makes `request.routeOptions` anew each
 * time.
 */
export const auth = fastifyPlugin(
  (app: FastifyInstance, options: { apiKeys?: ApiKeys | undefined }, done) => {
    const { apiKeys } = options;
    app.decorateRequest('apiKey', undefined);
    if (apiKeys === undefined) {
      done();
      return;
    }
    app.addHook('onClose', () => apiKeys.close());
    app.addHook('onRoute', (route) => {
      const { scope } = route.config ?? {};
      if (scope === undefined) return;
      route.onRequest = [requireScope(apiKeys, [scope].flat()), ...[route.onRequest ?? []].flat()];
    });
    done();
  },
);

function requireScope(apiKeys: ApiKeys, scopes: Scope[]): onRequestHookHandler {
  return (request, reply, next) => {
    const secret = BEARER.exec(request.headers.authorization ?? '')?.[1];
    const key = secret === undefined ? undefined : apiKeys.find(secret);
    if (key !== undefined && hasScope(key, scopes)) {
      request.apiKey = key;
      next();
    } else if (key !== undefined) {
      request.apiKey = key;
      const challenge = `Bearer realm="increment-mesh", error="insufficient_scope", scope="${scopes.join(' ')}"`;
      reply.header('www-authenticate', challenge);
      next(
        new ProblemError(
          'forbidden',
          `This API key does not have the scope ${scopes.join(' or ')}.`,
        ),
      );
    } else {
      const expired = secret === undefined ? undefined : apiKeys.findExpired(secret);
      // For the audit log.
      request.apiKey = expired;
      const error = secret === undefined ? '' : ', error="invalid_token"';
      reply.header('www-authenticate', `Bearer realm="increment-mesh"${error}`);
      next(new ProblemError('unauthorized', describeRefusal(expired)));
    }
  };
}

function describeRefusal(expired: ApiKey | undefined): string {
  if (expired === undefined) return 'Send a valid API key as "Authorization: Bearer …".';
  return `The key "${expired.name}" expired at ${expired.expires}: send a secret that is valid.`;
}

/** Whether a key has one of the scopes. */
export function hasScope(key: ApiKey, scopes: Scope[]): boolean {
  return scopes.some((accepted) => key.scopes.includes(accepted));
}
