import fastifySwagger from '@fastify/swagger';
import fastifySwaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance, FastifySchema } from 'fastify';
import fastifyPlugin from 'fastify-plugin';
import { BATCH_INCREMENTS_MAX } from '../schema/envelope.ts';
import { KEY_RULE, VALUE_RULE } from '../schema/increment.ts';
import { Problem, PROBLEM_CONTENT_TYPE } from '../schema/problem.ts';

const EXAMPLE = { key: '86f1fe5b-6dc7-45cb-9837-9e84757f5246', value: 5 };

/** What each error status means, on every route that can answer it. */
const ERRORS: Record<number, string> = {
  400: 'Refused; `errors` points at each fault. Nothing was stored.',
  401: 'No valid API key.',
  403: 'The API key does not have the scope.',
  404: 'The key was never counted.',
  413: 'The body is too large.',
  415: 'Another content type is needed.',
  422: 'The Idempotency-Key came with another payload before.',
  429: 'Over the rate limit; `Retry-After` says when to come again. Nothing was stored.',
  503: 'Not now; `Retry-After` says when. With the code `outcome-unknown` the increment may be counted: retry with the same Idempotency-Key.',
};

/**
 * The OpenAPI document at `/openapi.json`, made from the schemas that check the requests, and a page
 * to read it at `/docs`. Must be registered before the routes.
 */
export const openapi = fastifyPlugin(async (app: FastifyInstance) => {
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'increment-mesh',
        version: '0.1.0',
        description:
          'A distributed counter. A 200 means that an increment is on disk; it is counted exactly once and readable at most ten seconds later.',
      },
      components: { securitySchemes: { apiKey: { type: 'http', scheme: 'bearer' } } },
      security: [{}, { apiKey: [] }],
    },
    transform: ({ schema, url }) => ({ schema: documented(schema, url), url }),
  });
  await app.register(fastifySwaggerUi, { routePrefix: '/docs', staticCSP: true });
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());
});

/** Names the statuses that a route's errors have. */
export function errorAnswers(...statuses: number[]): Record<number, object> {
  return Object.fromEntries(
    statuses.map((status) => [
      status,
      {
        description: ERRORS[status],
        content: { [PROBLEM_CONTENT_TYPE]: { schema: Problem } },
      },
    ]),
  );
}

/**
 * JSON has one kind of number, so what the code tells apart as number and bigint is an int64 here;
 * its upper bound is a number that JSON readers would round.
 */
const documentedIncrement = {
  type: 'object',
  required: ['key', 'value'],
  additionalProperties: false,
  properties: {
    key: { type: 'string', format: 'uuid', description: KEY_RULE },
    value: { type: 'integer', format: 'int64', minimum: 1, description: VALUE_RULE },
  },
  examples: [EXAMPLE],
};

/** Read by the route itself, whose error says more than a schema's. */
const documentedHeaders = {
  type: 'object',
  properties: {
    'idempotency-key': {
      type: 'string',
      description:
        'Counts once within 24 hours, whatever happens in between: 1 to 255 visible ASCII characters, quoted or bare.',
    },
  },
};

function documented(schema: FastifySchema | undefined, url: string): FastifySchema {
  const { body: _body, ...rest } = schema ?? {};
  const headers = documentedHeaders;
  if (url === '/increment') return { ...rest, headers, body: documentedIncrement };
  if (url !== '/increments') return rest;
  const batch = {
    type: 'array',
    minItems: 1,
    maxItems: BATCH_INCREMENTS_MAX,
    items: documentedIncrement,
  };
  const lines = { type: 'string', description: 'One increment a line.' };
  return {
    ...rest,
    headers,
    body: {
      content: { 'application/json': { schema: batch }, 'application/x-ndjson': { schema: lines } },
    },
  };
}
