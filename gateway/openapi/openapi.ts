import fastifySwagger from '@fastify/swagger';
import fastifySwaggerUi from '@fastify/swagger-ui';
import type {
  FastifyContextConfig,
  FastifyInstance,
  FastifySchema,
  onRequestHookHandler,
} from 'fastify';
import fastifyPlugin from 'fastify-plugin';
import { BATCH_INCREMENTS_MAX } from '../../schema/message/envelope.ts';
import { EXAMPLE_KEY, KEY_RULE, VALUE_RULE } from '../../schema/increment.ts';
import type { ProblemCode } from '../../schema/http/problem.ts';
import { readVersion } from '../../schema/version.ts';
import { describeAnswers } from './describe-answers.ts';
import { ProblemError } from '../errors/problem-details.ts';

/** Files of the page at `/docs` that may be sent at once; a browser requests six at once. */
const PAGES_MAX = 100;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The errors that a route can answer with, besides those of its scope. */
    problems?: ProblemCode[];
  }
}

const DESCRIPTION = `A distributed counter. A 200 means that the increment is on disk; it is counted exactly
once and readable at most ten seconds later.

Every error is a problem document (RFC 9457) with a stable \`code\`. Besides what a route lists, any
request may get 400 \`bad-request\`, 404 \`no-such-route\`, 405 \`method-not-allowed\`, 408 \`request-timeout\`, 414 \`uri-too-long\`, 431
\`headers-too-large\` and 500 \`internal-error\`; without API keys also 403 \`cross-origin\` and 421
\`misdirected\`. Every answer has \`x-request-id\`, the client's own
if it sent one.`;

/**
 * The OpenAPI document at `/openapi.json`, made from the schemas that check the requests, and a page to
 * read it at `/docs`. Must be registered before the routes; it contains each route with a summary.
 */
export const openapi = fastifyPlugin(async (app: FastifyInstance) => {
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'increment-mesh', version: readVersion(), description: DESCRIPTION },
      components: { securitySchemes: { apiKey: { type: 'http', scheme: 'bearer' } } },
    },
    transform: ({ schema, url, route }) => ({
      schema: documented(schema, url, route.config ?? {}),
      url,
    }),
  });
  await app.register(async (docs) => {
    docs.addHook('onRequest', limitPages());
    await docs.register(fastifySwaggerUi, {
      routePrefix: '/docs',
      staticCSP: true,
      // With upgrade-insecure-requests, a gateway without TLS could show the page to its own machine only.
      transformStaticCSP: (policy) => policy.replace(' upgrade-insecure-requests;', ''),
      uiConfig: { layout: 'BaseLayout', defaultModelsExpandDepth: -1 },
    });
  });
  // Made once, and shared by all answers.
  let document: Buffer | undefined;
  app.get('/openapi.json', (_request, reply) => {
    document ??= Buffer.from(JSON.stringify(app.swagger()));
    return reply.type('application/json; charset=utf-8').send(document);
  });
});

/** Limits the files of the page that are being sent, which takes as long as their clients read. */
function limitPages(): onRequestHookHandler {
  let underWay = 0;
  return (request, reply, next) => {
    if (underWay >= PAGES_MAX) {
      next(
        new ProblemError('overloaded', `${PAGES_MAX} files of this page are already being sent.`),
      );
      return;
    }
    underWay++;
    // When a connection breaks, Node closes its current request but not the answers behind it.
    request.raw.once('close', () => {
      underWay--;
      reply.raw.destroy();
    });
    next();
  };
}

function documented(
  schema: FastifySchema | undefined,
  url: string,
  { scope, problems = [] }: FastifyContextConfig,
): FastifySchema {
  const { body: _body, response, ...rest } = schema ?? {};
  if (rest.summary === undefined) return { hide: true };
  const codes: ProblemCode[] =
    scope === undefined ? problems : [...problems, 'unauthorized', 'forbidden'];
  return {
    ...rest,
    ...REQUESTS[url],
    // Without API keys a gateway is open, hence the empty alternative.
    ...(scope !== undefined && { security: [{}, { apiKey: [] }] }),
    response: describeAnswers(response as Record<string, object>, codes, url),
  };
}

const EXAMPLE = { key: EXAMPLE_KEY, value: 5 };

/**
 * JSON has one kind of number, so number and bigint of the code are an int64 here; its maximum is left out,
 * because JSON readers would round it.
 */
const increment = {
  type: 'object',
  required: ['key', 'value'],
  additionalProperties: false,
  properties: {
    key: { type: 'string', format: 'uuid', description: KEY_RULE },
    value: { type: 'integer', format: 'int64', minimum: 1, description: VALUE_RULE },
  },
};

/** Checked by the route itself, whose error says more than that of a schema. */
const headers = {
  type: 'object',
  properties: {
    'idempotency-key': {
      type: 'string',
      description:
        'Requests with the same key are counted once within 24 hours. 1 to 255 visible ASCII characters, quoted or bare.',
      examples: ['"3f1c0e1e-order-17"'],
    },
  },
};

const batch = {
  type: 'array',
  minItems: 1,
  maxItems: BATCH_INCREMENTS_MAX,
  items: increment,
  examples: [[EXAMPLE, { ...EXAMPLE, value: 7 }]],
};
const lines = {
  type: 'string',
  description: 'One increment a line.',
  examples: [`${JSON.stringify(EXAMPLE)}\n${JSON.stringify({ ...EXAMPLE, value: 7 })}\n`],
};

/** Requests as documented, if that differs from how they are checked. */
const REQUESTS: Record<string, FastifySchema> = {
  '/increment': { headers, body: { ...increment, examples: [EXAMPLE] } },
  '/increments': {
    headers,
    body: {
      content: { 'application/json': { schema: batch }, 'application/x-ndjson': { schema: lines } },
    },
  },
};
