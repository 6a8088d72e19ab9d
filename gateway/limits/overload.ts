import { performance } from 'node:perf_hooks';
import fastifyPlugin from 'fastify-plugin';
import { ProblemError } from '../errors/problem-details.ts';

/** An event loop this late answers nobody in time; what comes on top only makes it later. */
const LATE_MS_MAX = 1_000;
const LOOK_MS = 500;

/**
 * Refuses increments at the door while this process can't keep up. Health answers always. Being late
 * once is a pause, after which what came meanwhile is served; being late again is overload.
 */
export const overload = fastifyPlugin((app, _options, done) => {
  let lookedAt = performance.now();
  let lateLooks = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    lateLooks = now - lookedAt > LOOK_MS + LATE_MS_MAX ? lateLooks + 1 : 0;
    lookedAt = now;
  }, LOOK_MS);
  app.addHook('onClose', () => clearInterval(timer));
  app.addHook('onRequest', (request, _reply, next) => {
    if (lateLooks < 2 || request.method !== 'POST') {
      next();
      return;
    }
    const detail = 'This gateway is overloaded. Nothing was stored; retry later.';
    next(new ProblemError('overloaded', detail));
  });
  done();
});
