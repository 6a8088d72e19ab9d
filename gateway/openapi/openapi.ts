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

/** Files of the page at `/docs` that may be under way; a browser asks for six at once. */
const PAGES_MAX = 100;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The errors that a route can answer with, besides those of its scope. */
    problems?: ProblemCode[];
  }
}

const DESCRIPTION = `A distributed counter. A 200 means that an increment is on disk; it is counted exactly
once and readable at most ten seconds later.

Every error is a problem document (RFC 9457) with a stable \`code\`. Besides what a route lists, any
request may meet 400 \`bad-request\`, 404 \`no-such-route\`, 408 \`request-timeout\`, 414 \`uri-too-long\`, 431
\`headers-too-large\` and 500 \`internal-error\`. Every answer carries \`x-request-id\`, the client's own
where it sent one.`;

/**
 * The OpenAPI document at `/openapi.json`, made from the schemas that check the requests, and a page
 * to read it at `/docs`. Must be registered before the routes; a route is in it by its summary.
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
      // Beyond this machine, a gateway without TLS could not show the page.
      transformStaticCSP: (policy) => policy.replace(' upgrade-insecure-requests;', ''),
      uiConfig: { layout: 'BaseLayout', defaultModelsExpandDepth: -1 },
    });
  });
  // One for all answers, however many wait to be sent.
  let document: Buffer | undefined;
  app.get('/openapi.json', (_request, reply) => {
    document ??= Buffer.from(JSON.stringify(app.swagger()));
    return reply.type('application/json; charset=utf-8').send(document);
  });
});

/** The page's files are read and sent bit by bit, as its readers go on. */
function limitPages(): onRequestHookHandler {
  let underWay = 0;
  return (request, reply, next) => {
    if (underWay >= PAGES_MAX) {
      next(
        new ProblemError('overloaded', `${PAGES_MAX} files of this page are being sent already.`),
      );
      return;
    }
    underWay++;
    // Of a connection that breaks, Node ends what was asked but not the answers that wait their turn.
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
    // Without keys a gateway is open, hence the empty alternative.
    ...(scope !== undefined && { security: [{}, { apiKey: [] }] }),
    response: describeAnswers(response as Record<string, object>, codes, url),
  };
}

const EXAMPLE = { key: EXAMPLE_KEY, value: 5 };

/**
 * JSON has one kind of number, so what the code tells apart as number and bigint is an int64 here;
 * its upper bound is a number that JSON readers would round.
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

/** Read by the route itself, whose error says more than a schema's. */
const headers = {
  type: 'object',
  properties: {
    'idempotency-key': {
      type: 'string',
      description:
        'Counts once within 24 hours, whatever happens in between: 1 to 255 visible ASCII characters, quoted or bare.',
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

/** Requests as people read them, where that differs from how they are checked. */
const REQUESTS: Record<string, FastifySchema> = {
  '/increment': { headers, body: { ...increment, examples: [EXAMPLE] } },
  '/increments': {
    headers,
    body: {
      content: { 'application/json': { schema: batch }, 'application/x-ndjson': { schema: lines } },
    },
  },
};
