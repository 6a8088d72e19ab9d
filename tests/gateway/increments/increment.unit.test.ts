import t from 'tap';
import { parseExactJson } from '../../../schema/int64.ts';
import type { Answer } from '../../support/load.ts';
import { buildTestGateway } from '../test-gateway.ts';

const KEY = '0f8fad5b-d9cb-469f-a165-70867728950e';
const NIL = '00000000-0000-0000-0000-000000000000';

/** Bodies that must be refused, with where the fault is. */
const REFUSED: [name: string, body: string, pointer: string | undefined][] = [
  ['a value of zero', `{"key":"${KEY}","value":0}`, '/value'],
  ['a negative value', `{"key":"${KEY}","value":-1}`, '/value'],
  ['a fraction', `{"key":"${KEY}","value":1.5}`, '/value'],
  ['a whole number written as a fraction', `{"key":"${KEY}","value":1.0}`, '/value'],
  ['an exponent', `{"key":"${KEY}","value":1e3}`, '/value'],
  ...[
    '5.0',
    '1e3',
    '+5',
    '-1',
    ' 5',
    '5 ',
    '05',
    '0',
    '',
    '0x5',
    '5\\n',
    '٥',
    '9223372036854775808',
  ].map((text): [string, string, string] => [
    `the string "${text}"`,
    `{"key":"${KEY}","value":"${text}"}`,
    '/value',
  ]),
  ['2^63', `{"key":"${KEY}","value":9223372036854775808}`, '/value'],
  ['a huge value', `{"key":"${KEY}","value":1${'0'.repeat(400)}}`, '/value'],
  ['true', `{"key":"${KEY}","value":true}`, '/value'],
  ['null', `{"key":"${KEY}","value":null}`, '/value'],
  ['a missing value', `{"key":"${KEY}"}`, '/value'],
  ['a missing key', `{"value":1}`, '/key'],
  ['a short key', `{"key":"${KEY.slice(1)}","value":1}`, '/key'],
  ['a key in braces', `{"key":"{${KEY}}","value":1}`, '/key'],
  ['38 characters around a UUID', `{"key":"x${KEY}x","value":1}`, '/key'],
  ['a key without dashes', `{"key":"${KEY.replaceAll('-', '')}","value":1}`, '/key'],
  ['a key with a line break', `{"key":"${KEY}\\n","value":1}`, '/key'],
  ['the nil UUID', `{"key":"${NIL}","value":1}`, '/key'],
  ['a number as key', `{"key":5,"value":1}`, '/key'],
  ['a field in upper case', `{"KEY":"${KEY}","value":1}`, '/key'],
  ['an unknown field', `{"key":"${KEY}","value":1,"extra":1}`, '/extra'],
  ['a prototype', `{"key":"${KEY}","value":1,"__proto__":{"value":2}}`, '/__proto__'],
  ['a constructor', `{"key":"${KEY}","value":1,"constructor":{}}`, '/constructor'],
  ['an array', `[{"key":"${KEY}","value":1}]`, ''],
  ['an empty array', '[]', ''],
  ['a number', '5', ''],
  ['null as body', 'null', ''],
  ['trailing data', `{"key":"${KEY}","value":1}x`, undefined],
  ['two documents', `{"key":"${KEY}","value":1}{}`, undefined],
  ['broken JSON', `{"key":"${KEY}","value":`, undefined],
  ['an empty body', '', undefined],
  ['deep nesting', `${'['.repeat(2000)}1.5${']'.repeat(2000)}`, ''],
];

void t.test('bad input gets a 400 that names the field', async (t) => {
  const { post, stored } = await buildTestGateway(t);
  for (const [name, body, pointer] of REFUSED) {
    const answer = await post('/increment', body);
    t.equal(answer.status, 400, name);
    t.equal(answer.headers['content-type'], 'application/problem+json');
    const problem = JSON.parse(answer.body) as { code: string; errors?: { pointer: string }[] };
    if (pointer === undefined) t.equal(problem.code, 'invalid-json', name);
    else t.equal(problem.errors?.[0]?.pointer, pointer, `${name} is found at ${pointer}`);
  }
  t.strictSame(stored, [], 'nothing bad reached the stream');
});

void t.test('every fault of a body is listed', async (t) => {
  const { post } = await buildTestGateway(t);
  const answer = await post('/increment', { key: 'x', value: 0, more: 1 });
  const { errors } = JSON.parse(answer.body) as { errors: { pointer: string }[] };
  t.strictSame(errors.map(({ pointer }) => pointer).toSorted(), ['/key', '/more', '/value']);
});

void t.test('other answers are problems too', async (t) => {
  const { post, send } = await buildTestGateway(t);
  const text = { 'content-type': 'text/plain' };
  const cases: [name: string, status: number, code: string, answer: Promise<Answer>][] = [
    ['another content type', 415, 'unsupported-media-type', post('/increment', 'x', text)],
    [
      'a compressed body',
      415,
      'unsupported-media-type',
      post('/increment', { key: KEY, value: 1 }, { 'content-encoding': 'gzip' }),
    ],
    ['a long body', 413, 'body-too-large', post('/increment', `{"key":"${'x'.repeat(5000)}"}`)],
    ['an unknown path', 404, 'no-such-route', send('/nothing')],
    ['a malformed key to read', 400, 'invalid-request', send('/counters/5')],
    ['a malformed escape', 400, 'bad-request', send('/counters/%zz')],
    ['a database that is away', 503, 'database-away', send(`/counters/${KEY}`)],
  ];
  for (const [name, status, code, asked] of cases) {
    const answer = await asked;
    t.equal(answer.status, status, name);
    t.equal(answer.headers['content-type'], 'application/problem+json', name);
    t.match(JSON.parse(answer.body), {
      status,
      code,
      type: String,
      title: String,
      detail: String,
      instance: String,
    });
    t.ok(answer.headers['x-request-id'], `${name} carries a request id`);
  }
});

void t.test(
  'an increment is stored under its key in lower case, and answered by its place',
  async (t) => {
    const { post, stored } = await buildTestGateway(t);
    const answer = await post('/increment', ` {"value": 2,\n"key": "${KEY.toUpperCase()}"} `, {
      'x-request-id': 'mine-1',
    });
    t.equal(answer.status, 200);
    t.equal(answer.headers['x-request-id'], 'mine-1');
    t.match(JSON.parse(answer.body), { accepted: 1, id: stored[0]?.id, sequence: 1 });
    const [message] = stored;
    t.match(JSON.parse(message?.body ?? ''), { increments: [{ key: KEY, value: 2 }] });
    const identity = { 'content-encoding': 'Identity' };
    t.equal((await post('/increment', { key: KEY, value: 1 }, identity)).status, 200);
  },
);

void t.test('a value is a number or a string of its digits, and both are exact', async (t) => {
  const { post, stored } = await buildTestGateway(t);
  const lines = { 'content-type': 'application/x-ndjson' };
  for (const digits of ['1', '5', '9007199254740993', '9223372036854775807']) {
    const number = `{"key":"${KEY}","value":${digits}}`;
    const text = `{"key":"${KEY}","value":"${digits}"}`;
    for (const [path, body, headers] of [
      ['/increment', text],
      ['/increments', `[${text},${number}]`],
      ['/increments', `${number}\n${text}\n`, lines],
    ] as const) {
      t.equal((await post(path, body, headers)).status, 200, `${path} ${body}`);
      const message = stored.at(-1)?.body ?? '';
      t.notMatch(message, '"value":"', 'the message has numbers');
      const { increments } = parseExactJson(message) as { increments: { value: bigint }[] };
      for (const { value } of increments) t.equal(String(value), digits);
    }
  }
  const refused = await post('/increment', { key: KEY, value: '5.0' });
  t.match(JSON.parse(refused.body), {
    errors: [{ detail: /number .* or a string of its digits/ }],
  });
});

void t.test('one increment and a batch of one are the same under an Idempotency-Key', async (t) => {
  const { post, stored } = await buildTestGateway(t);
  const once = { 'idempotency-key': 'a' };
  const first = await post('/increment', { key: KEY, value: 5 }, once);
  const again = await post('/increments', [{ key: KEY.toUpperCase(), value: '5' }], once);
  t.strictSame([again.status, again.body], [200, first.body]);
  t.equal(again.headers['idempotent-replayed'], 'true');
  t.equal((await post('/increments', [{ key: KEY, value: 6 }], once)).status, 422);
  t.equal(stored.length, 1);
});

void t.test('malformed idempotency keys are refused', async (t) => {
  const { post } = await buildTestGateway(t);
  const body = { key: KEY, value: 1 };
  const long = 'x'.repeat(256);
  for (const name of ['', '""', 'a b', '"open', long, `"${long}"`, 'ü', '"a"b']) {
    const answer = await post('/increment', body, { 'idempotency-key': name });
    t.equal(answer.status, 400, name);
    t.match(JSON.parse(answer.body), { code: 'invalid-idempotency-key' });
  }
  const id = '01a20796-d738-7798-9027-666dad60be1c';
  for (const name of ['a', '"a"', '"a\\"b"', 'x'.repeat(255), id]) {
    t.equal((await post('/increment', body, { 'idempotency-key': name })).status, 200, name);
  }
});
