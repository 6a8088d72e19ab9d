import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openApiKeys } from '../../../gateway/auth/api-keys.ts';
import { makeKeys } from '../../support/counters.ts';
import { buildTestGateway } from '../test-gateway.ts';

void t.test(
  'only a route that stores is limited, so that with API keys no address is kept',
  async (t) => {
    const silent = { publish: () => undefined, subscribe: () => () => undefined };
    const rateLimit = { max: 1, batchMax: 0, windowMs: 60_000, channel: silent };
    const { post } = await buildTestGateway(t, { rateLimit });
    const body = { key: makeKeys(1)[0], value: 1 };
    for (let count = 0; count < 3; count++) t.equal((await post('/absent', body)).status, 404);
    t.equal((await post('/increment', body)).status, 200);
    t.equal((await post('/increment', body)).status, 429);
  },
);

void t.test("a key's own limit holds where nobody else has one, also for batches", async (t) => {
  const file = join(t.testdir(), 'api-keys.json');
  const keyOf = (name: string, secret: string, limit?: number) => ({
    name,
    sha256: createHash('sha256').update(secret).digest('hex'),
    scopes: ['write'],
    ...(limit !== undefined && { rate_limit_max: limit }),
  });
  // Two secrets of one name, as while it is rotated.
  const keys = [keyOf('slow', 'old', 5), keyOf('slow', 'new', 5), keyOf('free', 'free')];
  writeFileSync(file, JSON.stringify({ keys }));
  const apiKeys = openApiKeys(file, (problem) => t.fail(problem));
  const { post } = await buildTestGateway(t, { apiKeys });
  const body = { key: makeKeys(1)[0], value: 1 };
  const send = async (path: string, secret: string) => {
    const sent = path === '/increments' ? [body, body] : body;
    return (await post(path, sent, { authorization: `Bearer ${secret}` })).status;
  };
  t.equal(await send('/increment', 'old'), 200);
  t.equal(await send('/increment', 'new'), 200);
  for (let count = 0; count < 3; count++) t.equal(await send('/increments', 'new'), 200);
  t.equal(await send('/increments', 'new'), 429, 'a batch is a request too');
  t.equal(await send('/increment', 'old'), 429, 'the secrets of a name share its limit');
  t.equal(await send('/increment', 'free'), 200);
});
