import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Value } from 'typebox/value';
import type { ApiKeysFile, Scope } from '../../../schema/http/api-keys.ts';
import { freeze } from '../../support/freeze.ts';
import { makeKeys, untilTotal } from '../../support/counters.ts';
import { post, send, type Answer } from '../../support/load.ts';
import { startServers } from '../../support/servers.ts';
import { startCounter, startGateway } from '../../support/services.ts';
import { until } from '../../support/until.ts';
import { readDocument, type Document } from './document.ts';

void t.test('real answers are those of the OpenAPI document', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: 300, ownPostgres: true });
  const environment = { RATE_LIMIT_MAX: '25', PUBLISH_DEADLINE_MS: '500' };
  const gateway = await startGateway(t, servers, environment);
  const file = join(servers.folder, 'api-keys.json');
  const keyOf = (secret: string, scopes: Scope[]) => ({
    name: secret,
    sha256: createHash('sha256').update(secret).digest('hex'),
    scopes,
  });
  const keys = [keyOf('operator', ['operate']), keyOf('client', ['write', 'read'])];
  writeFileSync(file, JSON.stringify({ keys } satisfies ApiKeysFile));
  const closed = await startGateway(t, servers, { API_KEYS_FILE: file });
  const counter = await startCounter(t, servers, { FLUSH_INTERVAL_MS: '300' });
  const page = await send(`${gateway.url}/docs`);
  t.equal(page.status, 200);
  const policy = page.headers['content-security-policy'] ?? '';
  t.notMatch(policy, 'upgrade-insecure-requests', 'the page is there without TLS too');
  const document = readDocument((await send(`${gateway.url}/openapi.json`)).body);
  const guarded = createChecks(t, readDocument((await send(`${closed.url}/openapi.json`)).body));
  const { check, unseen } = createChecks(t, document);
  const [key = '', absent = ''] = makeKeys(2);
  const good = { key, value: 1 };
  const batch = (body: string, headers: Record<string, string> = {}, { url } = gateway) =>
    send(`${url}/increments`, { method: 'POST', body, headers });
  const once = { 'idempotency-key': 'a' };
  const text = { 'content-type': 'text/plain' };

  check('/increment', 'post', 200, await post(gateway.url, good, once));
  check('/increment', 'post', 400, await post(gateway.url, { key, value: 0 }));
  check('/increment', 'post', 400, await post(gateway.url, '{'));
  check('/increment', 'post', 400, await post(gateway.url, good, { 'idempotency-key': '' }));
  check('/increment', 'post', 413, await post(gateway.url, 'x'.repeat(10_000)));
  check('/increment', 'post', 415, await post(gateway.url, '', text));
  check('/increment', 'post', 422, await post(gateway.url, { key, value: 2 }, once));
  check('/increments', 'post', 200, await batch(JSON.stringify([good])));
  check('/increments', 'post', 400, await batch('[1]'));
  check('/increments', 'post', 400, await batch('['));
  check('/increments', 'post', 400, await batch(JSON.stringify([good]), { 'idempotency-key': '' }));
  check('/increments', 'post', 413, await batch('x'.repeat(2_000_000)));
  check('/increments', 'post', 415, await batch('', text));
  check('/increments', 'post', 422, await batch(JSON.stringify([good, good]), once));
  await untilTotal(servers.database, 2);
  check('/counters/{key}', 'get', 200, await send(`${gateway.url}/counters/${key}`));
  check('/counters/{key}', 'get', 400, await send(`${gateway.url}/counters/5`));
  check('/counters/{key}', 'get', 404, await send(`${gateway.url}/counters/${absent}`));
  check('/counters', 'get', 200, await send(`${gateway.url}/counters?key=${key}&key=${absent}`));
  check('/counters', 'get', 400, await send(`${gateway.url}/counters?limit=0`));
  check('/counters', 'get', 200, await send(`${gateway.url}/counters`));
  const query = (body: string, headers: Record<string, string> = {}, { url } = gateway) =>
    send(`${url}/counters/query`, { method: 'POST', body, headers });
  const asked = JSON.stringify({ keys: [key, absent] });
  check('/counters/query', 'post', 200, await query(asked));
  check('/counters/query', 'post', 400, await query('{}'));
  check('/counters/query', 'post', 400, await query('{'));
  check('/counters/query', 'post', 413, await query('x'.repeat(2_000_000)));
  check('/counters/query', 'post', 415, await query('', text));
  const clear = (of: string, headers = {}, { url } = gateway) =>
    send(`${url}/counters/${of}`, { method: 'DELETE', headers });
  check('/counters/{key}', 'delete', 200, await clear(key));
  check('/counters/{key}', 'delete', 400, await clear('5'));
  check('/counters/{key}', 'delete', 404, await clear(absent));
  const { id } = JSON.parse((await post(gateway.url, good, once)).body) as { id: string };
  const ask = (path: string) => send(`${gateway.url}/increments/${path}`);
  check('/increments/{id}', 'get', 200, await ask(id));
  check('/increments/{id}', 'get', 400, await ask('5'));
  check('/increments/{id}', 'get', 404, await ask('00000000-0000-7000-8000-000000000000'));
  check('/livez', 'get', 200, await send(`${gateway.url}/livez`));
  check('/readyz', 'get', 200, await send(`${gateway.url}/readyz`));

  const client = { authorization: 'Bearer client' };
  for (const [status, headers] of [
    [401, {}],
    [403, { authorization: 'Bearer operator' }],
  ] as const) {
    const refused = await Promise.all([
      post(closed.url, good, headers),
      batch('[]', headers, closed),
      send(`${closed.url}/counters?key=${key}`, { headers }),
      send(`${closed.url}/increments/${id}`, { headers }),
      send(`${closed.url}/counters/${key}`, { headers }),
    ]);
    for (const [index, path] of [
      '/increment',
      '/increments',
      '/counters',
      '/increments/{id}',
      '/counters/{key}',
    ].entries()) {
      guarded.check(path, index < 2 ? 'post' : 'get', status, refused[index]!);
    }
    guarded.check('/counters/query', 'post', status, await query(asked, headers, closed));
    const mayNotClear = status === 403 ? client : {};
    guarded.check('/counters/{key}', 'delete', status, await clear(key, mayNotClear, closed));
  }

  for (const [path, operations] of Object.entries(document.paths)) {
    for (const method of Object.keys(operations)) {
      const url = `${gateway.url}${path.replace('{key}', key).replace('{id}', id)}`;
      check(path, method, 405, await send(url, { method: 'PUT' }));
      check(path, method, 431, await send(url, { headers: { x: 'x'.repeat(20_000) } }));
      if (path.endsWith('z')) continue;
      check(path, method, 421, await send(url, { headers: { host: 'example.com' } }));
      check(path, method, 403, await send(url, { headers: { 'sec-fetch-site': 'cross-site' } }));
    }
  }
  for (const path of ['/livez', '/readyz'])
    check(path, 'get', 400, await send(`${gateway.url}${path}?a=1`));
  const tooSoon = 'at_least=999999999';
  const notYet = await send(`${gateway.url}/counters?key=${key}&${tooSoon}`);
  check('/counters', 'get', 504, notYet);
  const queryUrl = `${gateway.url}/counters/query?${tooSoon}`;
  check('/counters/query', 'post', 504, await send(queryUrl, { method: 'POST', body: asked }));
  check('/counters/{key}', 'get', 504, await send(`${gateway.url}/counters/${key}?${tooSoon}`));

  await counter.stop();
  check('/counters/{key}', 'delete', 503, await clear(key));
  await freeze(servers.nats);
  const unanswered = clear(key);
  check('/increment', 'post', 503, await post(gateway.url, good));
  check('/increments', 'post', 503, await batch(JSON.stringify([good])));
  check('/counters/{key}', 'delete', 503, await unanswered);
  servers.nats.kill('SIGCONT');
  servers.nats.kill('SIGKILL');
  await servers.nats.exited;
  const away = () => send(`${gateway.url}/readyz`);
  check('/readyz', 'get', 503, await until('not ready', away, ({ status }) => status === 503));
  check('/increment', 'post', 503, await post(gateway.url, good));
  check('/increments', 'post', 503, await batch(JSON.stringify([good])));
  check('/counters/{key}', 'delete', 503, await clear(key));
  const limited = () => post(gateway.url, good);
  check(
    '/increment',
    'post',
    429,
    await until('the limit', limited, ({ status }) => status === 429),
  );
  check('/increments', 'post', 429, await batch(JSON.stringify([good])));
  await servers.postgres.stop();
  check('/counters', 'get', 503, await send(`${gateway.url}/counters?key=${key}`));
  check('/counters/query', 'post', 503, await query(asked));
  check('/increments/{id}', 'get', 503, await ask(id));
  check('/counters/{key}', 'delete', 503, await clear(key));
  check('/counters/{key}', 'get', 503, await send(`${gateway.url}/counters/${key}`));

  check('/livez', 'get', 200, await send(`${gateway.url}/livez`));

  // Elsewhere: backpressure, increment and pipelining (too many waiting), stopping, and an event loop
  // that is late.
  const elsewhere = ['overloaded', 'stopping', 'stream-full', 'stream-refused', 'too-many-waiting'];
  t.strictSame(unseen(), [
    'delete /counters/{key} 503 too-many-waiting',
    'get /counters 503 stopping',
    'get /counters 503 too-many-waiting',
    'get /counters/{key} 503 stopping',
    'get /counters/{key} 503 too-many-waiting',
    'get /increments/{id} 503 too-many-waiting',
    'post /counters/query 503 overloaded',
    'post /counters/query 503 stopping',
    'post /counters/query 503 too-many-waiting',
    ...elsewhere.map((code) => `post /increment 503 ${code}`),
    ...elsewhere.map((code) => `post /increments 503 ${code}`),
  ]);
  t.match((await send(`${gateway.url}/docs/`)).body, /swagger/i, 'the document can be read');
});

/** Checks answers against the document, and keeps which of its answers have not been seen. */
function createChecks(t: Test, document: Document) {
  const documented = new Set<string>();
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [method, { responses }] of Object.entries(operations)) {
      for (const [status, { content }] of Object.entries(responses)) {
        const problem = content['application/problem+json'];
        const codes = problem === undefined ? [''] : Object.keys(problem.examples ?? {});
        // Elsewhere: pre-routing-errors, and nothing makes an internal error.
        if (/^(?:408|414|500)$/.test(status)) continue;
        for (const code of codes.filter((code) => code !== 'bad-request'))
          documented.add(`${method} ${path} ${status} ${code}`.trim());
      }
    }
  }

  function check(path: string, method: string, status: number, answer: Answer): void {
    const name = `${method} ${path} ${status}`;
    t.equal(answer.status, status, name);
    const described = document.paths[path]?.[method]?.responses[status];
    const type = answer.headers['content-type']?.toString().split(';')[0] ?? '';
    const schema = described?.content[type]?.schema;
    if (described === undefined || schema === undefined) {
      t.fail(`${name} is not in the document as ${type}`);
      return;
    }
    const body = JSON.parse(answer.body) as { code?: string };
    t.strictSame(Value.Errors(schema, body), [], `${name} is as documented`);
    documented.delete(`${name} ${body.code ?? ''}`.trim());
    t.ok(answer.headers['x-request-id'], `${name} carries a request id`);
    const known = ['connection', 'content-length', 'content-type', 'date', 'keep-alive'];
    const others = Object.keys(answer.headers).filter((header) => !known.includes(header));
    t.strictSame(
      others.filter((header) => !(header in described.headers)),
      [],
      `${name}: its headers are documented`,
    );
  }

  return { check, unseen: () => [...documented].toSorted() };
}
