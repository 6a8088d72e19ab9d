import type { FastifyInstance } from 'fastify';
import { parseExactJson } from '../../schema/int64.ts';
import { ProblemError } from '../errors/problem-details.ts';
import { remember } from '../limits/remember.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route takes a batch of increments. */
    isBatch?: boolean;
  }
}

/** A parameter of the content type. UTF-8 has ASCII in it, and is what JSON has (RFC 8259). */
const CHARSET = /;\s*charset\s*=\s*"?([^\s";]*)/i;
const UTF8 = /^(?:utf-?8|us-ascii)$/i;
const BYTE_ORDER_MARK = '\ufeff';
const readCharset = remember((type) => CHARSET.exec(type)?.[1]);
/** What bytes are read as that are not UTF-8. */
const REPLACEMENT = '\ufffd';

/**
 * Parses JSON without rounding a number.
 *
 * @param measure refuses, by a ProblemError, a text that would take long to parse.
 */
export function addBodyParsers(
  app: FastifyInstance,
  measure: (text: string) => void = () => undefined,
): void {
  app.removeAllContentTypeParsers();
  addTextParser(app, 'application/json', (body, done) => {
    try {
      measure(body);
      done(null, parseExactJson(body));
    } catch (error) {
      if (error instanceof ProblemError) {
        done(error);
        return;
      }
      // A RangeError means that it is nested too deeply.
      const detail = `The body is not JSON: ${(error as Error).message}`;
      done(new ProblemError('invalid-json', detail));
    }
  });
  addTextParser(app, 'application/x-ndjson', (_body, done) => {
    done(new ProblemError('unsupported-media-type', 'Send application/json here.'));
  });
}

/** For routes of batches: a batch keeps its text, which goes into the message unchanged. */
export function addBatchParsers(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  for (const type of ['application/json', 'application/x-ndjson'])
    addTextParser(app, type, (body, done) => done(null, body));
}

function addTextParser(
  app: FastifyInstance,
  type: string,
  parse: (body: string, done: (error: Error | null, body?: unknown) => void) => void,
): void {
  app.addContentTypeParser(type, { parseAs: 'string' }, ({ headers }, body, done) => {
    const problem = findEncodingProblem(headers['content-type'], body as string);
    if (problem === undefined) parse(body as string, done);
    else done(problem);
  });
}

/** Why a body is not plain UTF-8, by its content type or its first character; undefined if it may be. */
function findEncodingProblem(type: string | undefined, body: string): ProblemError | undefined {
  const charset = readCharset(type ?? '');
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
