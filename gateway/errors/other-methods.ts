import { METHODS } from 'node:http';
import type { FastifyInstance, HTTPMethods, onRequestHookHandler } from 'fastify';
import { ProblemError } from './problem-details.ts';

/** CONNECT opens a tunnel, for which Node has another event. */
const KNOWN = METHODS.filter((method) => method !== 'CONNECT') as HTTPMethods[];

/**
 * Collects the paths of the routes that are added from now on.
 *
 * @returns a function that gives each of those paths an answer to all methods that it does not have: 204 with
 * `Allow` to OPTIONS, else 405 with `Allow`. Neither needs an API key, and no body is read.
 */
export function collectPaths(app: FastifyInstance): () => void {
  const paths = new Set<string>();
  app.addHook('onRoute', ({ url }) => void paths.add(url));

  return () => {
    for (const method of KNOWN) {
      if (!app.supportedMethods.includes(method)) app.addHttpMethod(method);
    }
    for (const url of Array.from(paths)) {
      // What takes any path is no path of its own.
      if (url === '*') continue;
      const own = KNOWN.filter((method) => app.hasRoute({ url, method }));
      app.route({
        method: KNOWN.filter((method) => !own.includes(method)),
        url,
        onRequest: answerWithAllow([...own, 'OPTIONS'].toSorted().join(', ')),
        handler: () => undefined,
      });
    }
  };
}

function answerWithAllow(allow: string): onRequestHookHandler {
  return ({ method }, reply, next) => {
    reply.header('allow', allow);
    if (method === 'OPTIONS') void reply.code(204).send();
    else {
      const detail = `This path does not have ${method}, but ${allow}.`;
      next(new ProblemError('method-not-allowed', detail));
    }
  };
}
