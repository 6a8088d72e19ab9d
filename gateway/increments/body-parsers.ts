import type { FastifyInstance } from 'fastify';
import { parseExactJson } from '../../schema/int64.ts';
import { ProblemError } from '../errors/problem-details.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route parses its body itself, as a batch of increments. */
    isBatch?: boolean;
  }
}

/**
 * Parses JSON and NDJSON without rounding a number. A batch keeps its text, which goes into the message
 * unchanged.
 */
export function addBodyParsers(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (request.routeOptions.config.isBatch === true) {
      done(null, body);
      return;
    }
    try {
      done(null, parseExactJson(body as string));
    } catch (error) {
      // A RangeError means that it is nested too deeply.
      const detail = `The body is not JSON: ${(error as Error).message}`;
      done(new ProblemError('invalid-json', detail));
    }
  });
  app.addContentTypeParser('application/x-ndjson', { parseAs: 'string' }, (request, body, done) => {
    if (request.routeOptions.config.isBatch === true) done(null, body);
    else done(new ProblemError('unsupported-media-type', 'Send application/json here.'));
  });
}
