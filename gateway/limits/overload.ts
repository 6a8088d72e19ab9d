import { performance } from 'node:perf_hooks';
import fastifyPlugin from 'fastify-plugin';
import { ProblemError } from '../errors/problem-details.ts';

/** An event loop that is this late can't answer in time; more work makes it later. */
const LATE_MS_MAX = 1_000;
const CHECK_MS = 500;

/**
 * Refuses increments before they are read while this process can't keep up. Health always answers. One late
 * check is a pause, after which waiting requests are served; two in a row are overload.
 */
export const overload = fastifyPlugin((app, _options, done) => {
  let checkedAt = performance.now();
  let lateChecks = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    lateChecks = now - checkedAt > CHECK_MS + LATE_MS_MAX ? lateChecks + 1 : 0;
    checkedAt = now;
  }, CHECK_MS);
  app.addHook('onClose', () => clearInterval(timer));
  app.addHook('onRequest', (request, _reply, next) => {
    if (lateChecks < 2 || request.method !== 'POST') {
      next();
      return;
    }
    const detail = 'This gateway is overloaded. Nothing was stored; retry later.';
    next(new ProblemError('overloaded', detail));
  });
  done();
});
