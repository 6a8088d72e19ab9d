import fastifyUnderPressure from '@fastify/under-pressure';
import type { FastifyInstance } from 'fastify';
import fastifyPlugin from 'fastify-plugin';
import { ProblemError, sendProblem } from './problem-details.ts';

/** An event loop this late answers nobody in time; what comes on top only makes it later. */
const EVENT_LOOP_DELAY_MS_MAX = 1_000;

/** Refuses increments at the door while this process can't keep up. Health answers always. */
export const pressure = fastifyPlugin(async (app: FastifyInstance) => {
  await app.register(fastifyUnderPressure, {
    maxEventLoopDelay: EVENT_LOOP_DELAY_MS_MAX,
    pressureHandler: (request, reply) => {
      if (request.method !== 'POST') return;
      const detail = 'This gateway is overloaded. Nothing was stored; retry later.';
      sendProblem(request, reply, new ProblemError('overloaded', detail));
    },
  });
});
