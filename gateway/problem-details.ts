import type { Socket } from 'node:net';
import type { FastifyBaseLogger, FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { TLocalizedValidationError } from 'typebox/error';
import { KEY_RULE, VALUE_RULE } from '../schema/increment.ts';
import { PROBLEM_CONTENT_TYPE, type Problem } from '../schema/problem.ts';
import { NotAccepted } from './group-commit.ts';

/** IANA's registered problem types, where one fits; RFC 9457 has about:blank for the rest. */
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
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

/** A stable code for each status that Fastify itself answers with. */
const CODES: Record<number, string> = {
  404: 'no-such-route',
  408: 'request-timeout',
  413: 'body-too-large',
  414: 'uri-too-long',
  415: 'unsupported-media-type',
  431: 'headers-too-large',
};

const CONNECTION_ERRORS: Record<string, number> = {
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_HEADER_OVERFLOW: 431,
};

/** A stream that is full or a broker that is away is seldom back within less. */
const RETRY_AFTER_S = 1;

/** Raised by routes for an answer that is a problem; nothing in it is internal. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly status: number;
  readonly code: string;
  readonly errors: Problem['errors'];

  constructor(status: number, code: string, detail: string, errors?: Problem['errors']) {
    super(detail);
    this.status = status;
    this.code = code;
    this.errors = errors;
  }
}

/** Sends a problem document; 429 and 503 say when to come again. */
export function sendProblem(
  request: FastifyRequest,
  reply: FastifyReply,
  problem: Pick<ProblemError, 'status' | 'code' | 'message' | 'errors'>,
): FastifyReply {
  const { status, code, message, errors } = problem;
  // An error before routing has met no hook yet.
  if (!reply.hasHeader('x-request-id')) void reply.header('x-request-id', request.id);
  if (status === 503 && !reply.hasHeader('retry-after'))
    void reply.header('retry-after', RETRY_AFTER_S);
  const body: Problem = {
    type: TYPES[status] ?? 'about:blank',
    title: TITLES[status] ?? 'Error',
    status,
    detail: message,
    // The path alone: a query may hold what does not belong into an error.
    instance: request.url.split('?', 1)[0] ?? '',
    code,
    ...(errors !== undefined && { errors }),
  };
  return reply.code(status).type(PROBLEM_CONTENT_TYPE).serializer(JSON.stringify).send(body);
}

/** The one place where an error becomes an answer. */
export function createErrorHandler(log: FastifyBaseLogger) {
  return (error: FastifyError, request: FastifyRequest, reply: FastifyReply): void => {
    const problem = asProblem(error);
    if (problem.status === 500)
      log.error({ err: error, requestId: request.id }, 'a request failed');
    sendProblem(request, reply, problem);
  };
}

/** Answers what is not even a request, such as bytes that are not HTTP, and closes its connection. */
export function refuseConnection(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) return;
  const status = CONNECTION_ERRORS[error.code ?? ''] ?? 400;
  const body = JSON.stringify({
    type: 'about:blank',
    title: TITLES[status] ?? 'Error',
    status,
    detail: 'The request could not be read.',
    instance: '',
    code: CODES[status] ?? 'bad-request',
  } satisfies Problem);
  socket.end(
    `HTTP/1.1 ${status} ${TITLES[status] ?? 'Error'}\r\ncontent-type: ${PROBLEM_CONTENT_TYPE}\r\n` +
      `content-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
  );
}

function asProblem(error: FastifyError): ProblemError {
  if (error instanceof ProblemError) return error;
  if (error instanceof NotAccepted) return new ProblemError(503, error.code, error.message);
  if (error.validation !== undefined) {
    const context = error.validationContext === 'body' ? 'body' : 'request';
    return invalid(error.validation as unknown as TLocalizedValidationError[], context);
  }
  const status = error.statusCode ?? 500;
  if (status >= 500) {
    return new ProblemError(500, 'internal-error', 'Something went wrong here; the log says what.');
  }
  return new ProblemError(status, CODES[status] ?? 'bad-request', error.message);
}

function invalid(found: TLocalizedValidationError[], context: string): ProblemError {
  const errors = describeFaults(found);
  const summary = errors.map(
    ({ pointer, detail }) => `${pointer === '' ? context : pointer.slice(1)} ${detail}`,
  );
  return new ProblemError(400, 'invalid-request', `Refused: ${summary.join('; ')}.`, errors);
}

/** One error for each place, below a prefix, in the words of the rule that it breaks. */
export function describeFaults(
  found: TLocalizedValidationError[],
  prefix = '',
): { pointer: string; detail: string }[] {
  const errors = new Map<string, string>();
  for (const error of found) {
    for (const [pointer, detail] of locate(error)) {
      if (!errors.has(pointer)) errors.set(pointer, detail);
    }
  }
  return [...errors].map(([pointer, detail]) => ({ pointer: `${prefix}${pointer}`, detail }));
}

const RULES: Record<string, string> = { key: KEY_RULE, value: VALUE_RULE };

function locate({ instancePath, keyword, params, message }: TLocalizedValidationError): Located[] {
  if (keyword === 'required') {
    return params.requiredProperties.map((name) => [`${instancePath}/${name}`, 'is missing']);
  }
  // TypeBox reports an unknown field twice: by the object that has it and by its own place.
  if (keyword === 'additionalProperties') return [];
  if (keyword === 'boolean')
    return [[instancePath.slice(0, POINTER_LENGTH_MAX), 'is not a known field']];
  const field = instancePath.split('/').at(-1) ?? '';
  return [[instancePath, RULES[field] ?? message]];
}

type Located = [pointer: string, detail: string];

/** The name of an unknown field is the client's and may be long. */
const POINTER_LENGTH_MAX = 100;
