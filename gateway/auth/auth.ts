import type { FastifyInstance } from 'fastify';
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

const BEARER = /^Bearer ([\x21-\x7e]{1,512})$/i;

/**
 * Requires a bearer key on every route with a scope (RFC 6750). Runs before the rate limit, which depends
 * on the key, and before a body is read.
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
    app.addHook('onRequest', (request, reply, next) => {
      const { scope } = request.routeOptions.config;
      if (scope === undefined) {
        next();
        return;
      }
      const scopes = [scope].flat();
      const secret = BEARER.exec(request.headers.authorization ?? '')?.[1];
      const key = secret === undefined ? undefined : apiKeys.find(secret);
      if (key === undefined) {
        const error = secret === undefined ? '' : ', error="invalid_token"';
        reply.header('www-authenticate', `Bearer realm="increment-mesh"${error}`);
        next(
          new ProblemError('unauthorized', 'Send a valid API key as "Authorization: Bearer …".'),
        );
      } else if (!hasScope(key, scopes)) {
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
        request.apiKey = key;
        next();
      }
    });
    done();
  },
);

/** Whether a key has one of the scopes. */
export function hasScope(key: ApiKey, scopes: Scope[]): boolean {
  return scopes.some((accepted) => key.scopes.includes(accepted));
}
