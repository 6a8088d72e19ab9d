import t from 'tap';
import { makeKeys } from '../../support/counters.ts';
import { buildTestGateway } from '../test-gateway.ts';

const [KEY = ''] = makeKeys(1);
const GOOD = `{"key":"${KEY}","value":1}`;
const LINES = { 'content-type': 'application/x-ndjson' };

void t.test('bad items refuse the batch, and each is listed', async (t) => {
  const { post, stored } = await buildTestGateway(t);
  const bad = ['{"key":"x","value":1}', '{}', `{"key":"${KEY}","value":1.0}`];
  const items = [GOOD, bad[0], GOOD, bad[1], bad[2], GOOD];
  const answer = await post('/increments', `[${items.join(',')}]`);
  t.equal(answer.status, 400);
  const { errors } = JSON.parse(answer.body) as { errors: { pointer: string }[] };
  t.strictSame(
    errors.map(({ pointer }) => pointer),
    ['/1/key', '/3/key', '/3/value', '/4/value'],
  );
  const ndjson = await post('/increments', [GOOD, bad[0], 'x', GOOD].join('\n'), LINES);
  t.equal(ndjson.status, 400);
  t.match(JSON.parse(ndjson.body), {
    errors: [{ pointer: 'line 2/key' }, { pointer: 'line 3', detail: 'is not JSON' }],
  });
  const many = await post(
    '/increments',
    `[${Array.from({ length: 500 }, () => bad[0]).join(',')}]`,
  );
  t.match(JSON.parse(many.body), { detail: /100 or more of the increments/ });
  t.equal((JSON.parse(many.body) as { errors: unknown[] }).errors.length, 100);

  for (const body of ['[]', '{}', '5', GOOD])
    t.equal((await post('/increments', body)).status, 400, body);
  t.equal((await post('/increments', '', LINES)).status, 400);
  const tooMany = `[${Array.from({ length: 10_001 }, () => GOOD).join(',')}]`;
  t.equal((await post('/increments', tooMany)).status, 400);
  t.equal((await post('/increments', `[${'x'.repeat(1_100_000)}]`)).status, 413);
  t.equal((await post('/increment', GOOD, LINES)).status, 415);
  t.strictSame(stored, [], 'nothing was stored');
});

void t.test('a batch without a body is told so', async (t) => {
  const { send } = await buildTestGateway(t);
  const answer = await send('/increments', { method: 'POST' });
  t.equal(answer.status, 400);
  t.match(JSON.parse(answer.body), { code: 'invalid-json', detail: /^The body is missing/ });
});

void t.test('a batch is one message, as it was written', async (t) => {
  const { post, stored } = await buildTestGateway(t);
  const largest = `{"key": "${KEY}", "value": 9223372036854775807}`;
  const answer = await post('/increments', `[${GOOD}, ${largest}]`);
  t.match(JSON.parse(answer.body), { accepted: 2, sequence: 1, id: stored[0]?.id });
  t.equal(stored.length, 1);
  t.match(stored[0]?.body, `${GOOD}, ${largest}`, 'with every digit');
});

void t.test(
  'a batch that the broker has no room for in a message is refused at once',
  async (t) => {
    const { post, stored } = await buildTestGateway(t, { bodyBytesMax: 28_672 });
    const postBatch = (count: number) =>
      post(
        '/increments',
        Array.from({ length: count }, () => ({ key: KEY, value: 1 })),
      );
    const refused = await postBatch(1_000);
    t.equal(refused.status, 413);
    t.match(JSON.parse(refused.body), {
      code: 'body-too-large',
      detail: /a message of this broker holds 28672 \(its max_payload\). Nothing was stored/,
    });
    t.match(JSON.parse((await postBatch(500)).body), { accepted: 500, sequence: 1 });
    t.equal(stored.length, 1);
  },
);
