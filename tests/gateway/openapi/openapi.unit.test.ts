import t from 'tap';
import { Value } from 'typebox/value';
import type { ApiKeys } from '../../../gateway/auth/api-keys.ts';
import { buildTestGateway } from '../test-gateway.ts';
import { readDocument } from './document.ts';

const KEYS: ApiKeys = {
  find: () => undefined,
  findExpired: () => undefined,
  readAgain: () => undefined,
  readUses: () => ({}),
  onChange: () => undefined,
  close: () => undefined,
};

void t.test('the OpenAPI document has an example for every request and answer', async (t) => {
  const { send } = await buildTestGateway(t);
  const document = readDocument((await send('/openapi.json')).body);
  t.equal(document.openapi, '3.1.0');
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const name = `${method} ${path}`;
      t.match(operation.operationId, /^\w+$/, `${name} has a name for programs`);
      const described = [
        ...(operation.parameters ?? []),
        ...Object.values(operation.requestBody?.content ?? {}),
        ...Object.values(operation.responses).flatMap(({ content }) => Object.values(content)),
      ];
      for (const each of described) {
        const examples = Object.values(each.examples ?? {}).map(({ value }) => value);
        if (each.example !== undefined) examples.push(each.example);
        const isKey = each.name === 'idempotency-key';
        t.equal(examples.length > 0, !isKey, `${name} has examples, but no key to send twice`);
        const faults = examples.flatMap((example) => Value.Errors(each.schema, example));
        t.strictSame(faults, [], 'its examples are as documented');
      }
    }
  }
});

void t.test('its schemas have names and the bounds of what is accepted', async (t) => {
  const { send, post } = await buildTestGateway(t);
  const text = (await send('/openapi.json')).body;
  const { components, paths } = readDocument(text);
  t.match(text, '"maximum":9223372036854775807}', 'with every digit');
  t.match((await send('/docs/yaml')).body, /maximum: 9223372036854775807\n/);
  t.strictSame(Object.keys(components.schemas), [
    'Accepted',
    'ClearedCounter',
    'Counter',
    'CounterOrZero',
    'Counters',
    'DeadLetterCount',
    'Fault',
    'Finding',
    'Increment',
    'IncrementBatch',
    'Key',
    'Liveness',
    'MessageStatus',
    'Outcome',
    'Problem',
    'Readiness',
  ]);

  const { Increment } = components.schemas;
  const key = '86f1fe5b-6dc7-45cb-9837-9e84757f5246';
  for (const [body, isGood] of [
    [{ key, value: 5 }, true],
    [{ key, value: '9223372036854775807' }, true],
    [{ key, value: '9223372036854775808' }, false],
    [{ key, value: '05' }, false],
    [{ key, value: 0 }, false],
    [{ key, value: 1.5 }, false],
    [{ key: '00000000-0000-0000-0000-000000000000', value: 1 }, false],
    [{ key: key.toUpperCase(), value: 1 }, true],
    [{ key, value: 1, more: 1 }, false],
  ] as const) {
    const { status } = await post('/increment', body);
    t.equal(status, isGood ? 200 : 400);
    t.equal(Value.Check(Increment!, body), isGood, JSON.stringify(body));
  }

  const header = paths['/increment']?.['post']?.parameters?.[0]?.schema;
  for (const [name, isGood] of [
    ['', false],
    ['a', true],
    ['"a b"', false],
    ['"a"', true],
    ['x'.repeat(255), true],
    ['x'.repeat(256), false],
  ] as const) {
    const answer = await post('/increment', { key, value: 1 }, { 'idempotency-key': name });
    t.equal(answer.status, isGood ? 200 : 400, name);
    t.equal(Value.Check(header!, name), isGood, name);
  }
});

void t.test('the document is of this mesh: API keys with their scopes, or none', async (t) => {
  for (const hasKeys of [true, false]) {
    const { send } = await buildTestGateway(t, hasKeys ? { apiKeys: KEYS } : {});
    const { components, paths, security } = readDocument((await send('/openapi.json')).body);
    t.strictSame(security, []);
    t.equal(components.securitySchemes !== undefined, hasKeys);
    for (const [path, operations] of Object.entries(paths)) {
      for (const [method, { security, description, responses }] of Object.entries(operations)) {
        const isGuarded = hasKeys && !path.endsWith('z');
        t.strictSame(security, isGuarded ? [{ apiKey: [] }] : undefined, path);
        const scopes: Record<string, string> = { post: 'write', delete: 'operate' };
        const scope = path === '/counters/query' ? 'read' : (scopes[method] ?? 'read');
        t.equal(description.includes(`the scope \`${scope}\``), isGuarded, path);
        t.equal('401' in responses, isGuarded, path);
        t.equal('421' in responses, !hasKeys && !path.endsWith('z'), path);
        for (const status of ['400', '405', '408', '414', '431', '500'])
          t.ok(status in responses, `${path} has ${status}`);
      }
    }
  }
});

void t.test('an unknown query parameter is refused by name on every route', async (t) => {
  const { send } = await buildTestGateway(t);
  const { paths } = readDocument((await send('/openapi.json')).body);
  for (const [path, operations] of Object.entries(paths)) {
    for (const method of Object.keys(operations)) {
      const url = path
        .replace('{key}', '86f1fe5b-6dc7-45cb-9837-9e84757f5246')
        .replace('{id}', '01a20796-d738-7798-9027-666dad60be1c');
      const key = path === '/counters' ? 'key=86f1fe5b-6dc7-45cb-9837-9e84757f5246&' : '';
      const answer = await send(`${url}?${key}extra=1`, {
        method: method.toUpperCase() as 'GET',
        ...(method === 'post' && {
          body:
            path === '/counters/query'
              ? '{"keys":["86f1fe5b-6dc7-45cb-9837-9e84757f5246"]}'
              : '{"key":"86f1fe5b-6dc7-45cb-9837-9e84757f5246","value":1}',
          headers: { 'content-type': 'application/json' },
        }),
      });
      t.equal(answer.status, 400, path);
      t.match(JSON.parse(answer.body), {
        code: 'invalid-request',
        errors: [{ pointer: '/extra' }],
      });
    }
  }
});
