import { createHash } from 'node:crypto';
import { subscribe } from 'node:diagnostics_channel';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { FastifyInstance, RouteOptions } from 'fastify';
import t from 'tap';
import { openApiKeys } from '../../../gateway/auth/api-keys.ts';
import type { ApiKeysFile, Scope } from '../../../schema/http/api-keys.ts';
import { makeKeys } from '../../support/counters.ts';
import { buildTestGateway } from '../test-gateway.ts';

/** What anyone may read. Every other route must have a scope. */
const OPEN = [
  /^\*$/,
  /^\/$/,
  /^\/console\//,
  /^\/docs(\/|$)/,
  /^\/openapi\.json$/,
  /^\/(livez|readyz)$/,
];
const SCOPES: Scope[] = ['write', 'read', 'operate'];
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'];
/** What a request without the right key may be answered with; all else has looked at what was asked. */
const REFUSALS = ['401', '403', '404', '405', '400 bad-request', '204'];

const routes: RouteOptions[] = [];
subscribe('fastify.initialization', (message) => {
  const { fastify: app } = message as { fastify: FastifyInstance };
  app.addHook('onRoute', (route) => void routes.push(route));
});

void t.test('no route serves a request without the right scope', async (t) => {
  const file = join(t.testdir(), 'api-keys.json');
  const keys = SCOPES.map((scope) => ({
    name: scope,
    sha256: createHash('sha256').update(`${scope}-secret`).digest('hex'),
    scopes: [scope],
  }));
  writeFileSync(file, JSON.stringify({ keys } satisfies ApiKeysFile));
  const apiKeys = openApiKeys(file, (problem) => t.fail(problem));
  const { app, stored } = await buildTestGateway(t, { apiKeys });
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  const port = Number(new URL(url).port);
  const [key = ''] = makeKeys(1);

  // Several methods at once are those that a path does not have.
  const scoped = routes.filter(
    ({ method, url: path }) => !Array.isArray(method) && !OPEN.some((open) => open.test(path)),
  );
  for (const { method, url: path, config } of scoped)
    t.ok(config?.scope !== undefined, `${String(method)} ${path} has a scope`);
  t.ok(scoped.length >= 8, 'routes were found');

  // The methods of a path may have different scopes.
  const served = scoped.map(({ method, url: path, config }) => ({
    path,
    method: String(method),
    accepted: [config?.scope ?? []].flat(),
  }));
  const paths = [
    ...Map.groupBy(served, ({ path, accepted }) => `${path} ${accepted.join()}`).values(),
  ].map(([{ path, method, accepted } = { path: '', method: '', accepted: [] }]) => ({
    path,
    method,
    accepted,
    methods: METHODS.filter(
      (one) =>
        !served.some(
          (other) =>
            other.path === path &&
            other.method === one &&
            other.accepted.join() !== accepted.join(),
        ),
    ),
  }));
  const sent: Promise<void>[] = [];
  const checkRefused = async (start: string, credentials: string[]) => {
    const answer = await ask(port, start, credentials);
    const isRefused = REFUSALS.some((refusal) => answer.startsWith(refusal));
    if (!isRefused) t.fail(`${start} with ${credentials.join()}: ${answer}`);
  };
  for (const { path, method, accepted, methods } of paths) {
    const whole = path.replace(':key', key).replace(':id', '01a20796-d738-7798-9027-666dad60be1c');
    // Written otherwise it may be a route below it, or a key, which has another scope.
    const hasRouteBelow =
      path === '/counters/query' || served.some((other) => other.path.startsWith(`${path}/`));
    for (const trick of disguise(whole)) {
      const others = SCOPES.filter((scope) => !accepted.includes(scope));
      const isOther = hasRouteBelow && trick !== whole;
      for (const credentials of withoutScope(accepted, isOther ? [] : others)) {
        // What a key may and how a path is written are looked at for each method alike.
        const isEach = trick === whole || credentials.length === 0;
        for (const one of isEach ? methods : [method]) {
          const start = `${one} ${trick.replace('SECRET', secretOf(accepted))}`;
          sent.push(checkRefused(start, credentials));
        }
      }
      // A few at a time.
      await Promise.all(sent.splice(0));
    }
  }
  t.strictSame(stored, [], 'nothing was stored');

  for (const { path, method, accepted } of paths) {
    if (path === '/events') continue;
    const whole = path.replace(':key', key).replace(':id', '5');
    for (const scheme of ['Bearer', 'bearer', 'BEARER', 'Bearer  ']) {
      const answer = await ask(port, `${method} ${whole}`, [
        `authorization: ${scheme} ${secretOf(accepted)}`,
      ]);
      t.match(answer, /^(200|400 inv|415|503 data)/, `${method} ${whole} as ${scheme}: ${answer}`);
    }
  }
});

function secretOf([scope]: Scope[]): string {
  return `${scope}-secret`;
}

/** Other ways to write a path, of which a router might take one for the path and a check not. */
function disguise(path: string): string[] {
  const second = path.charCodeAt(1).toString(16);
  return [
    path,
    `${path}/`,
    `/${path}`,
    `/.${path}`,
    `/x/..${path}`,
    `${path}/.`,
    `${path}%00`,
    `${path}%2f`,
    `${path};x`,
    `${path}#x`,
    `/%${second}${path.slice(2)}`,
    path.replace('/', '/%2e/'),
    path.replaceAll('/', '%2f'),
    path.replaceAll('/', '\\'),
    path.toUpperCase(),
    `http://localhost${path}`,
    `${path}?authorization=Bearer%20SECRET&access_token=SECRET&key=SECRET`,
  ];
}

/** Header lines of clients that do not have one of the scopes. */
function withoutScope(accepted: Scope[], others: Scope[]): string[][] {
  const secret = secretOf(accepted);
  const line = (value: string) => [`authorization: ${value}`];
  return [
    [],
    ...others.map((scope) => line(`Bearer ${scope}-secret`)),
    // The first of several holds.
    ...others.map((scope) => [...line(`Bearer ${scope}-secret`), ...line(`Bearer ${secret}`)]),
    line(''),
    line('Bearer'),
    line(`Bearer ${secret}x`),
    line(`Bearer ${secret.toUpperCase()}`),
    line(`Bearer ${secret}, Bearer ${secret}`),
    line(`Basic ${Buffer.from(`:${secret}`).toString('base64')}`),
    line(secret),
    [`x-api-key: ${secret}`],
    [`cookie: authorization=Bearer ${secret}`],
    [`proxy-authorization: Bearer ${secret}`],
    ['x-http-method-override: GET', 'x-original-url: /livez', 'x-forwarded-for: 127.0.0.1'],
  ];
}

/** The status of the answer, and the code of its problem. */
function ask(port: number, start: string, headers: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1');
    const lines = [`${start} HTTP/1.1`, 'host: localhost', 'connection: close', ...headers];
    const length = start.startsWith('POST')
      ? ['content-type: application/json', 'content-length: 2']
      : [];
    socket.write(`${[...lines, ...length].join('\r\n')}\r\n\r\n${length.length > 0 ? '{}' : ''}`);
    socket.on('data', (chunk) => {
      answer += String(chunk);
      // An open stream of events would not end.
      if (answer.includes('text/event-stream')) socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', () => {
      const status = /^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 'no answer';
      resolve(`${status} ${/"code":"([^"]+)"/.exec(answer)?.[1] ?? ''}`.trim());
    });
  });
}
