import type { FastifyInstance, FastifyRequest } from 'fastify';
import { parseExactJson } from '../../schema/int64.ts';
import { ProblemError } from '../errors/problem-details.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route parses its body itself, as a batch of increments. */
    isBatch?: boolean;
  }
}

/** A parameter of the content type. UTF-8 has ASCII in it, and is what JSON has (RFC 8259). */
const CHARSET = /;\s*charset\s*=\s*"?([^\s";]*)/i;
const UTF8 = /^(?:utf-?8|us-ascii)$/i;
const BYTE_ORDER_MARK = '\ufeff';
/** What bytes are read as that are not UTF-8. */
const REPLACEMENT = '\ufffd';

/**
 * Parses JSON and NDJSON without rounding a number. A batch keeps its text, which goes into the message
 * unchanged.
 */
export function addBodyParsers(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    const problem = findEncodingProblem(request, body as string);
    if (problem !== undefined || request.routeOptions.config.isBatch === true) {
      done(problem ?? null, body);
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
    const problem = findEncodingProblem(request, body as string);
    if (request.routeOptions.config.isBatch === true) done(problem ?? null, body);
    else done(new ProblemError('unsupported-media-type', 'Send application/json here.'));
  });
}

/** Why a body is not plain UTF-8, by its content type or its first character; undefined if it may be. */
function findEncodingProblem({ headers }: FastifyRequest, body: string): ProblemError | undefined {
  const charset = CHARSET.exec(headers['content-type'] ?? '')?.[1];
  if (charset !== undefined && !UTF8.test(charset)) {
    const detail = `The charset is "${charset.slice(0, 100)}"; send UTF-8.`;
    return new ProblemError('unsupported-media-type', detail);
  }
  if (body.startsWith(BYTE_ORDER_MARK))
    return new ProblemError(
      'invalid-json',
      'The body begins with a byte order mark; leave it out.',
    );
  if (body.startsWith(REPLACEMENT))
    return new ProblemError('invalid-json', 'The body is not UTF-8; send it in that encoding.');
  return undefined;
}
