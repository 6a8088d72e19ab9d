import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import fastifyPlugin from 'fastify-plugin';
import type { Accepted } from '../../schema/http/accepted.ts';

/**
 * Logs a line for each request, with the message that holds its increments; counter services log the same
 * sequence. Only for LOG_LEVEL=debug: it costs more than the answer.
 */
export const requestLog = fastifyPlugin(
  (app: FastifyInstance, { log }: { log: FastifyBaseLogger }, done) => {
    app.addHook('onSend', (request, reply, payload, next) => {
      const { method, id: requestId, problemCode, routeOptions, startedAt } = request;
      const durationMs = Math.round((performance.now() - startedAt) * 100) / 100;
      const facts = { requestId, method, route: routeOptions.url, status: reply.statusCode };
      const stored = readStored(request.incrementCount, reply.statusCode, payload);
      log.debug({ ...facts, durationMs, problemCode, ...stored }, 'answered');
      next(null, payload);
    });
    done();
  },
);

function readStored(increments: number, status: number, payload: unknown): object {
  if (increments === 0 || status !== 200 || typeof payload !== 'string') return {};
  const { id, sequence } = JSON.parse(payload) as Accepted;
  return { increments, messageId: id, sequence };
}
