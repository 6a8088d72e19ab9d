import t from 'tap';
import { Value } from 'typebox/value';
import type { TSchema } from 'typebox';
import { freeze } from '../support/freeze.ts';
import { makeKeys, untilTotal } from '../support/counters.ts';
import { post, send, type Answer } from '../support/load.ts';
import { startServers } from '../support/servers.ts';
import { startCounter, startGateway } from '../support/services.ts';
import { until } from '../support/wait.ts';

interface Document {
  openapi: string;
  paths: Record<string, Record<string, { responses: Record<string, Described> }>>;
}

interface Described {
  content: Record<string, { schema: TSchema }>;
}

void t.test('real answers are those of the OpenAPI document', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: 300 });
  const gateway = await startGateway(t, servers, {
    RATE_LIMIT_MAX: '20',
    PUBLISH_DEADLINE_MS: '500',
  });
  await startCounter(t, servers, { FLUSH_INTERVAL_MS: '300' });
  const document = JSON.parse((await send(`${gateway.url}/openapi.json`)).body) as Document;
  t.equal(document.openapi, '3.1.0');
  const [key = '', absent = ''] = makeKeys(2);
  const good = { key, value: 1 };

  const check = (path: string, method: string, status: number, answer: Answer) => {
    const name = `${method} ${path} ${status}`;
    t.equal(answer.status, status, name);
    const described = document.paths[path]?.[method]?.responses[status]?.content;
    const type = answer.headers['content-type']?.toString().split(';')[0] ?? '';
    const schema = described?.[type]?.schema;
    t.ok(schema, `${name} is in the document as ${type}`);
    if (schema !== undefined) {
      t.strictSame(Value.Errors(schema, JSON.parse(answer.body)), [], `${name} is as documented`);
    }
  };
  const batch = (body: string, headers: Record<string, string> = {}) =>
    send(`${gateway.url}/increments`, { method: 'POST', body, headers });
  const once = { 'idempotency-key': 'a' };

  check('/increment', 'post', 200, await post(gateway.url, good, once));
  check('/increment', 'post', 400, await post(gateway.url, { key, value: 0 }));
  check('/increment', 'post', 413, await post(gateway.url, 'x'.repeat(10_000)));
  check('/increment', 'post', 415, await post(gateway.url, '', { 'content-type': 'text/plain' }));
  check('/increment', 'post', 422, await post(gateway.url, { key, value: 2 }, once));
  check('/increments', 'post', 200, await batch(JSON.stringify([good])));
  check('/increments', 'post', 400, await batch('[1]'));
  check('/increments', 'post', 413, await batch('x'.repeat(2_000_000)));
  check('/increments', 'post', 422, await batch(JSON.stringify([good, good]), once));
  await untilTotal(servers.database, 2);
  check('/counters/{key}', 'get', 200, await send(`${gateway.url}/counters/${key}`));
  check('/counters/{key}', 'get', 400, await send(`${gateway.url}/counters/5`));
  check('/counters/{key}', 'get', 404, await send(`${gateway.url}/counters/${absent}`));
  check('/counters', 'get', 200, await send(`${gateway.url}/counters?key=${key}&key=${absent}`));
  check('/counters', 'get', 400, await send(`${gateway.url}/counters`));
  check('/livez', 'get', 200, await send(`${gateway.url}/livez`));
  check('/readyz', 'get', 200, await send(`${gateway.url}/readyz`));

  await freeze(servers.nats);
  check('/increment', 'post', 503, await post(gateway.url, good));
  check('/increments', 'post', 503, await batch(JSON.stringify([good])));
  servers.nats.kill('SIGCONT');
  const limited = () => post(gateway.url, good);
  check(
    '/increment',
    'post',
    429,
    await until('the limit', limited, ({ status }) => status === 429),
  );
  check('/increments', 'post', 429, await batch(JSON.stringify([good])));
  servers.nats.kill('SIGKILL');
  await servers.nats.exited;
  const away = () => send(`${gateway.url}/readyz`);
  check('/readyz', 'get', 503, await until('not ready', away, ({ status }) => status === 503));
  await servers.postgres.stop();
  check('/counters', 'get', 503, await send(`${gateway.url}/counters?key=${key}`));
  check('/counters/{key}', 'get', 503, await send(`${gateway.url}/counters/${key}`));
  t.match((await send(`${gateway.url}/docs/`)).body, /swagger/i, 'the document can be read');
});
