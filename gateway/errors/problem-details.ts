import type { FastifyBaseLogger, FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { TLocalizedValidationError } from 'typebox/error';
import {
  PROBLEM_CONTENT_TYPE,
  PROBLEMS,
  type Problem,
  type ProblemCode,
} from '../../schema/http/problem.ts';
import { NotAccepted } from '../increments/not-accepted.ts';
import { discardBody } from './discard-body.ts';
import { describeFaults } from './validation-faults.ts';

/** IANA's registered problem types, if one fits; RFC 9457 has about:blank for the rest. */
const TYPES: Record<number, string> = {
  429: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
  503: 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity',
};

const TITLES: Record<number, string> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  413: 'Content Too Large',
  414: 'URI Too Long',
  415: 'Unsupported Media Type',
  421: 'Misdirected Request',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

/** Errors of Fastify itself, by their status. */
const FRAMEWORK_CODES: Record<number, ProblemCode> = {
  404: 'no-such-route',
  413: 'body-too-large',
  414: 'uri-too-long',
  415: 'unsupported-media-type',
};

/** A full stream or a broker that is away seldom recovers sooner. */
const RETRY_AFTER_S = 1;

/** Thrown by routes to answer with a problem; nothing in it is internal. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly code: ProblemCode;
  readonly errors: Problem['errors'];
  readonly members: Partial<Problem>;

  /** @param members what the document has besides, for this code. */
  constructor(
    code: ProblemCode,
    detail: string,
    errors?: Problem['errors'],
    members: Partial<Problem> = {},
  ) {
    super(detail);
    this.code = code;
    this.errors = errors;
    this.members = members;
  }
}

/** For work that a gateway does not begin any more. */
export function stopping(): ProblemError {
  return new ProblemError('stopping', 'This gateway is stopping.');
}

/** Sends a problem document; a 503 has a Retry-After. */
export function sendProblem(
  request: FastifyRequest,
  reply: FastifyReply,
  { code, message, errors, members }: ProblemError,
): FastifyReply {
  const body = { ...createProblem(code, message, request.url), ...members };
  const { status } = body;
  if (errors !== undefined) body.errors = errors;
  request.problemCode = code;
  // Fastify closes a connection whose body it has not read; that is read away instead.
  reply.removeHeader('connection');
  reply.raw.once('finish', () => discardBody(request.raw));
  // For an error before routing no hook has run.
  if (!reply.hasHeader('x-request-id')) void reply.header('x-request-id', request.id);
  if (status === 503 && !reply.hasHeader('retry-after'))
    void reply.header('retry-after', RETRY_AFTER_S);
  return reply.code(status).type(PROBLEM_CONTENT_TYPE).serializer(JSON.stringify).send(body);
}

/** The one place where an error becomes an answer. */
export function createErrorHandler(log: FastifyBaseLogger) {
  return (error: FastifyError, request: FastifyRequest, reply: FastifyReply): void => {
    // The client gave up sending its body, so it does not wait for an answer.
    if (request.raw.readableAborted) {
      reply.code(400).hijack();
      return;
    }
    const problem = asProblem(error, request);
    if (problem.code === 'internal-error')
      log.error({ err: error, requestId: request.id }, 'a request failed');
    sendProblem(request, reply, problem);
  };
}

/** The document for a code. Its `instance` is the path without the query, which may hold a secret. */
export function createProblem(code: ProblemCode, detail: string, url: string): Problem {
  const { status } = PROBLEMS[code];
  return {
    type: TYPES[status] ?? 'about:blank',
    title: TITLES[status] ?? 'Error',
    status,
    detail,
    instance: url.split('?', 1)[0] ?? '',
    code,
  };
}

function asProblem(error: FastifyError, request: FastifyRequest): ProblemError {
  if (error instanceof ProblemError) return error;
  if (error instanceof NotAccepted) return new ProblemError(error.code, error.message);
  if (error.validation !== undefined) {
    const context = error.validationContext === 'body' ? 'body' : 'request';
    return invalid(error.validation as unknown as TLocalizedValidationError[], context);
  }
  const status = error.statusCode ?? 500;
  if (status >= 500) {
    return new ProblemError(
      'internal-error',
      'An unexpected error; the log of the gateway has the cause.',
    );
  }
  const code = FRAMEWORK_CODES[status] ?? 'bad-request';
  return new ProblemError(code, explainBody(code, request) ?? error.message);
}

/** Details that the messages of Fastify lack. */
function explainBody(code: ProblemCode, { headers, routeOptions }: FastifyRequest) {
  if (code === 'body-too-large') return `The body is longer than ${routeOptions.bodyLimit} bytes.`;
  if (code !== 'unsupported-media-type') return undefined;
  const given = headers['content-type']?.slice(0, 100);
  const found = given === undefined ? 'There is no content type' : `The content type is "${given}"`;
  const lines = routeOptions.config.isBatch === true ? ' or application/x-ndjson' : '';
  return `${found}; send application/json${lines}.`;
}

function invalid(found: TLocalizedValidationError[], context: string): ProblemError {
  const errors = describeFaults(found);
  const summary = errors.map(
    ({ pointer, detail }) => `${pointer === '' ? context : pointer.slice(1)} ${detail}`,
  );
  return new ProblemError('invalid-request', `Refused: ${summary.join('; ')}.`, errors);
}
