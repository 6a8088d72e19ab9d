import t from 'tap';
import { freeze } from '../../support/freeze.ts';
import { makeKeys, readCounters, untilTotal } from '../../support/counters.ts';
import { post, send } from '../../support/load.ts';
import { startServers } from '../../support/servers.ts';
import { startCounter, startGateway } from '../../support/services.ts';

const KEY = '0f8fad5b-d9cb-469f-a165-70867728950e';
const NIL = '00000000-0000-0000-0000-000000000000';

/** Bodies that must be refused, with where the fault is. */
const REFUSED: [name: string, body: string, pointer: string | undefined][] = [
  ['a value of zero', `{"key":"${KEY}","value":0}`, '/value'],
  ['a negative value', `{"key":"${KEY}","value":-1}`, '/value'],
  ['a fraction', `{"key":"${KEY}","value":1.5}`, '/value'],
  ['a whole number written as a fraction', `{"key":"${KEY}","value":1.0}`, '/value'],
  ['an exponent', `{"key":"${KEY}","value":1e3}`, '/value'],
  ['a value in quotes', `{"key":"${KEY}","value":"5"}`, '/value'],
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

void t.test('the contract of POST /increment', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: 300 });
  const gateway = await startGateway(t, servers);

  await t.test('bad input gets a 400 that names the field', async (t) => {
    for (const [name, body, pointer] of REFUSED) {
      const answer = await post(gateway.url, body);
      t.equal(answer.status, 400, name);
      t.equal(answer.headers['content-type'], 'application/problem+json');
      const problem = JSON.parse(answer.body) as { code: string; errors?: { pointer: string }[] };
      if (pointer === undefined) t.equal(problem.code, 'invalid-json', name);
      else t.equal(problem.errors?.[0]?.pointer, pointer, `${name} is found at ${pointer}`);
    }
    const { messages } = await servers.inspect();
    t.equal(messages, 0, 'nothing bad reached the stream');
  });

  await t.test('every fault of a body is listed', async (t) => {
    const answer = await post(gateway.url, { key: 'x', value: 0, more: 1 });
    const { errors } = JSON.parse(answer.body) as { errors: { pointer: string }[] };
    t.strictSame(errors.map(({ pointer }) => pointer).toSorted(), ['/key', '/more', '/value']);
  });

  await t.test('other answers are problems too', async (t) => {
    const cases: [string, number, string, Promise<Awaited<ReturnType<typeof send>>>][] = [
      [
        'another content type',
        415,
        'unsupported-media-type',
        send(`${gateway.url}/increment`, {
          method: 'POST',
          body: 'x',
          headers: { 'content-type': 'text/plain' },
        }),
      ],
      [
        'a compressed body',
        415,
        'unsupported-media-type',
        post(gateway.url, { key: KEY, value: 1 }, { 'content-encoding': 'gzip' }),
      ],
      [
        'a body that is too large',
        413,
        'body-too-large',
        post(gateway.url, `{"key":"${'x'.repeat(5000)}"}`),
      ],
      ['an unknown path', 404, 'no-such-route', send(`${gateway.url}/nothing`)],
      [
        'another method',
        404,
        'no-such-route',
        send(`${gateway.url}/increment`, { method: 'PUT', body: '{}' }),
      ],
      ['a malformed key to read', 400, 'invalid-request', send(`${gateway.url}/counters/5`)],
      [
        'a key that was never counted',
        404,
        'no-such-counter',
        send(`${gateway.url}/counters/${KEY}`),
      ],
      ['a malformed escape', 400, 'bad-request', send(`${gateway.url}/counters/%zz`)],
    ];
    for (const [name, status, code, sent] of cases) {
      const answer = await sent;
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

  await t.test(
    'good input is accepted, of any UUID version, in upper case too, and counted under one key',
    async (t) => {
      await startCounter(t, servers, { FLUSH_INTERVAL_MS: '300' });
      const answer = await post(gateway.url, ` {"value": 2,\n"key": "${KEY.toUpperCase()}"} `);
      t.equal(answer.status, 200);
      t.match(JSON.parse(answer.body), { accepted: 1, id: /^[0-9a-f-]{36}$/, sequence: 1 });
      t.equal(
        (await post(gateway.url, { key: KEY, value: 3 }, { 'x-request-id': 'mine-1' })).headers[
          'x-request-id'
        ],
        'mine-1',
      );
      await untilTotal(servers.database, 5);
      t.strictSame(await readCounters(servers.database), new Map([[KEY, '5']]));

      const versions = ['1', '4', '7', '8', '0', 'f'].map(
        (version) => `0f8fad5b-d9cb-${version}69f-a165-${version.repeat(12)}`,
      );
      for (const key of versions)
        t.equal((await post(gateway.url, { key, value: 1 })).status, 200, key);
      await untilTotal(servers.database, 5 + versions.length);
      const read = await send(`${gateway.url}/counters/${KEY.toUpperCase()}`);
      t.match(JSON.parse(read.body), { key: KEY, value: '5' });
    },
  );

  await t.test('a broker that refuses is a 503 and not a 200', async (t) => {
    const other = await startGateway(t, servers, { WAITING_MAX: '1' });
    await freeze(servers.nats);
    // Two packs may be under way and one increment waits; the others are refused at once.
    const answers = await Promise.all(
      Array.from({ length: 6 }, async (_, index) => {
        await new Promise((resolve) => setTimeout(resolve, index * 20));
        return post(other.url, { key: KEY, value: 1 });
      }),
    ).finally(() => servers.nats.kill('SIGCONT'));
    const codes = answers.map(({ body }) => (JSON.parse(body) as { code: string }).code);
    t.equal(answers.filter(({ status }) => status === 503).length, 6);
    t.ok(codes.includes('too-many-waiting'), codes.join());
    for (const { headers } of answers) t.ok(headers['retry-after']);
  });
});

void t.test('the rate limit refuses with a 429 and stores nothing', async (t) => {
  const servers = await startServers(t);
  const gateway = await startGateway(t, servers, { RATE_LIMIT_MAX: '3' });
  const [key] = makeKeys(1);
  for (let count = 0; count < 3; count++)
    t.equal((await post(gateway.url, { key, value: 1 })).status, 200);
  const refused = await post(gateway.url, { key, value: 1 });
  t.equal(refused.status, 429);
  t.match(JSON.parse(refused.body), { code: 'rate-limited' });
  t.equal(refused.headers['ratelimit-policy'], '"default";q=3;w=86400');
  t.match(refused.headers['ratelimit'], /^"default";r=0;t=\d+$/);
  t.ok(Number(refused.headers['retry-after']) >= 1);
  t.equal((await servers.inspect()).messages, 3, 'a refused request is never stored');
  t.equal((await send(`${gateway.url}/livez`)).status, 200, 'health is not limited');
});
