/*
 * Errors before routing, for which no hooks run: bytes that are not HTTP, requests that take too long to
 * arrive, URLs that can't be decoded. They are answered and counted as all others.
 */
import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { PROBLEM_CONTENT_TYPE, PROBLEMS, type ProblemCode } from '../../schema/http/problem.ts';
import type { Stats } from '../telemetry/stats.ts';
import { findRequestId, readRequestId } from '../http-server.ts';
import { isDiscarding } from './discard-body.ts';
import { createProblem } from './problem-details.ts';

/** How long a client has to read such an answer. */
const CLOSING_MS = 1_000;

/** Node's codes for what is not HTTP, and for what comes too late. */
const HTTP_ERROR = /^(?:HPE_|ERR_HTTP_)/;

/** By Node's codes. */
const CONNECTION_CODES: Record<string, ProblemCode> = {
  ERR_HTTP_REQUEST_TIMEOUT: 'request-timeout',
  HPE_HEADER_OVERFLOW: 'headers-too-large',
};

/** Fastify's options for it. */
export function answerPreRoutingErrors(
  stats: Stats,
  handleError: (error: FastifyError, request: FastifyRequest, reply: FastifyReply) => void,
  headers: Record<string, string>,
) {
  const headerLines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  /** Without a duration: the request is refused as soon as it is parsed. */
  const count = (status: number, method: string, problemCode: ProblemCode | undefined) =>
    stats.answered(status, {
      method,
      routeOptions: {},
      startedAt: performance.now(),
      problemCode,
      incrementCount: 0,
    });

  return {
    frameworkErrors: (error: FastifyError, request: FastifyRequest, reply: FastifyReply): void => {
      handleError(error, request, reply.headers(headers));
      count(reply.statusCode, request.method, request.problemCode);
    },

    clientErrorHandler: (error: ConnectionError, socket: Socket): void => {
      // Others are errors of the connection or of its TLS handshake, where there is nobody to answer; and
      // one request gets one answer.
      if (!HTTP_ERROR.test(error.code ?? '') || !socket.writable || isDiscarding(socket)) {
        socket.destroy();
        return;
      }
      // The client would take what is sent now for the answer to its request before.
      const earlier = readPending(socket);
      if (earlier?.req.complete === true) {
        socket.destroy();
        return;
      }
      const code = CONNECTION_CODES[error.code ?? ''] ?? 'bad-request';
      const problem = createProblem(code, PROBLEMS[code].meaning, '');
      const body = JSON.stringify(problem);
      const { rawPacket } = error;
      const id =
        (earlier && readRequestId(earlier.req)) ??
        (Buffer.isBuffer(rawPacket) ? findRequestId(rawPacket.toString('latin1')) : undefined) ??
        randomUUID();
      socket.end(
        `HTTP/1.1 ${problem.status} ${problem.title}\r\ncontent-type: ${PROBLEM_CONTENT_TYPE}\r\n${headerLines.join('')}` +
          `content-length: ${body.length}\r\nx-request-id: ${id}\r\nconnection: close\r\n\r\n${body}`,
      );
      // A client that does not close its half would keep the connection open.
      setTimeout(() => socket.destroy(), CLOSING_MS).unref();
      count(problem.status, earlier?.req.method ?? 'unknown', code);
    },
  };
}

interface ConnectionError extends NodeJS.ErrnoException {
  /** A buffer with the bytes in which the error was found; absent of a time-out. */
  rawPacket?: unknown;
}

/** The response that Node has begun on a connection; there is no public property for it. */
function readPending(socket: Socket): ServerResponse | undefined {
  const { _httpMessage: pending } = socket as { _httpMessage?: ServerResponse | null };
  return pending ?? undefined;
}
