import type { FastifyInstance } from 'fastify';
import { ProblemError } from './problem-details.ts';

/**
 * Answers `Expect: 100-continue` only once a request has passed what is checked before its body, so that no
 * client sends a body that is refused by its length. Node closes the connection after such a refusal. Other
 * expectations are ignored; Node's own refusal would have an empty body.
 */
export function answerExpectations(app: FastifyInstance): void {
  for (const event of ['checkContinue', 'checkExpectation']) {
    app.server.on(event, (request, response) => app.server.emit('request', request, response));
  }
  app.addHook('onRequest', (request, reply, done) => {
    const { expect, 'content-length': length } = request.headers;
    if (expect?.toLowerCase() !== '100-continue') {
      done();
      return;
    }
    const { bodyLimit } = request.routeOptions;
    if (Number(length) > bodyLimit) {
      done(new ProblemError('body-too-large', `The body is longer than ${bodyLimit} bytes.`));
      return;
    }
    reply.raw.writeContinue();
    done();
  });
}
