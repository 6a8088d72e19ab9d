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
import {
  EXAMPLE_KEY,
  KEY_RULE,
  NIL_KEY,
  UUID_PATTERN,
  VALUE_PATTERN,
  VALUE_RULE,
} from '../../schema/increment.ts';
import { INT64_MAX, rawJson } from '../../schema/int64.ts';
import type { ProblemCode } from '../../schema/http/problem.ts';
import { readVersion } from '../../schema/version.ts';
import type { ApiKeys } from '../auth/api-keys.ts';
import { describeAnswers } from './describe-answers.ts';
import { ProblemError } from '../errors/problem-details.ts';
import {
  IDEMPOTENCY_KEY_LENGTH_MAX,
  IDEMPOTENCY_KEY_PATTERN,
} from '../increments/idempotency-key.ts';
import { NO_QUERY } from './no-query.ts';
import { nameSchemas } from './name-schemas.ts';

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

Every error is a problem document (RFC 9457) with a stable \`code\`. A path that is not here is a 404
\`no-such-route\`. Every answer has \`x-request-id\`, the client's own if it sent one. New optional fields of
answers, and new codes, may come at any time.`;

const TAGS = [
  { name: 'Increments', description: 'Count, and ask what became of it.' },
  { name: 'Counters', description: 'Read totals.' },
  { name: 'Health', description: 'For load balancers; no API key is needed.' },
];

const SECURITY_SCHEME = {
  type: 'http' as const,
  scheme: 'bearer',
  description:
    'An API key, which an operator makes: `npm run mesh -- keys add`. It has scopes; each operation names the one that it needs.',
};

/** Swagger's page is made for a light background. */
const DARK = `@media (prefers-color-scheme: dark) {
  html { background: #111; }
  .swagger-ui { filter: invert(90%) hue-rotate(180deg); }
}`;

/**
 * The OpenAPI document at `/openapi.json`, made from the schemas that check the requests, and a page to
 * read it at `/docs`. Must be registered before the routes; it contains each route with a summary.
 */
export const openapi = fastifyPlugin(async (app: FastifyInstance, { apiKeys }: OpenapiOptions) => {
  const hasKeys = apiKeys !== undefined;
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'increment-mesh',
        version: readVersion(),
        description: DESCRIPTION,
        license: { name: 'MIT', identifier: 'MIT' } as { name: string },
        contact: { name: 'The operator of this mesh' },
      },
      servers: [{ url: '/', description: 'This mesh' }],
      tags: TAGS,
      security: [],
      ...(hasKeys && { components: { securitySchemes: { apiKey: SECURITY_SCHEME } } }),
    },
    transform: ({ schema, url, route }) => ({
      schema: documented(schema, { url, hasKeys, ...route.config }),
      url,
    }),
    transformObject: (made) => {
      const document = 'openapiObject' in made ? made.openapiObject : {};
      return nameSchemas(document, { documented: DOCUMENTED, hasKeys });
    },
  });
  await app.register(async (docs) => {
    docs.addHook('onRequest', limitPages());
    await docs.register(fastifySwaggerUi, {
      routePrefix: '/docs',
      staticCSP: true,
      // With upgrade-insecure-requests, a gateway without TLS could show the page to its own machine only.
      transformStaticCSP: (policy) => policy.replace(' upgrade-insecure-requests;', ''),
      theme: { css: [{ filename: 'dark.css', content: DARK }] },
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

export interface OpenapiOptions {
  /** If absent, every client may do everything. */
  apiKeys?: ApiKeys | undefined;
}

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

/** All operations can be refused so. */
const REQUEST_PROBLEMS: ProblemCode[] = ['invalid-request', 'bad-request'];

function documented(
  schema: FastifySchema | undefined,
  { url, hasKeys, scope, problems = [] }: FastifyContextConfig & { url: string; hasKeys: boolean },
): FastifySchema {
  const { body: _body, response, querystring, ...rest } = schema ?? {};
  if (rest.summary === undefined) return { hide: true };
  const isGuarded = hasKeys && scope !== undefined;
  const guards: ProblemCode[] = isGuarded ? ['unauthorized', 'forbidden'] : [];
  const codes = new Set([...REQUEST_PROBLEMS, ...problems, ...guards]);
  const scopes = [scope ?? []].flat();
  const need = isGuarded ? ` Needs an API key with the scope \`${scopes.join('` or `')}\`.` : '';
  return {
    ...rest,
    ...(querystring !== NO_QUERY && { querystring }),
    ...REQUESTS[url],
    description: `${rest.description ?? ''}${need}`,
    ...(isGuarded && { security: [{ apiKey: [] }] }),
    response: describeAnswers(response as Record<string, object>, [...codes], url),
  };
}

const EXAMPLE = { key: EXAMPLE_KEY, value: 5 };

/** Of JSON, which has a name to write its digits under; YAML's writer gives none and takes a bigint. */
const INT64_MAXIMUM = {
  toJSON: (name?: string) => (name === undefined ? INT64_MAX : rawJson(String(INT64_MAX))),
};

/** Schemas as documented, if that differs from how they are checked, by title. */
const DOCUMENTED: Record<string, object> = {
  Key: {
    type: 'string',
    format: 'uuid',
    pattern: UUID_PATTERN,
    not: { enum: [NIL_KEY] },
    description: KEY_RULE,
    examples: [EXAMPLE_KEY],
  },
  Increment: {
    type: 'object',
    required: ['key', 'value'],
    additionalProperties: false,
    properties: {
      key: { title: 'Key', type: 'string' },
      value: {
        description: VALUE_RULE,
        anyOf: [
          { type: 'integer', format: 'int64', minimum: 1, maximum: INT64_MAXIMUM },
          { type: 'string', pattern: VALUE_PATTERN },
        ],
      },
    },
    examples: [EXAMPLE],
  },
};

const increment = { title: 'Increment', type: 'object' };

/** Checked by the route itself, whose error says more than that of a schema. */
const headers = {
  type: 'object',
  properties: {
    // Without an example, which a page to try it on would send again and again.
    'idempotency-key': {
      type: 'string',
      description: 'Requests with the same key are counted once within 24 hours. Quoted or bare.',
      minLength: 1,
      maxLength: IDEMPOTENCY_KEY_LENGTH_MAX,
      pattern: IDEMPOTENCY_KEY_PATTERN,
    },
  },
};

const batch = {
  title: 'IncrementBatch',
  type: 'array',
  minItems: 1,
  maxItems: BATCH_INCREMENTS_MAX,
  items: increment,
  examples: [[EXAMPLE, { ...EXAMPLE, value: '9007199254740993' }]],
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
