import { randomBytes } from 'node:crypto';
import t from 'tap';
import { freeze } from '../../support/freeze.ts';
import { makeKeys, untilCounted } from '../../support/counters.ts';
import { post, send } from '../../support/load.ts';
import { startServers } from '../../support/servers.ts';
import { startGateway } from '../../support/services.ts';
import { shareMesh } from '../../support/shared-mesh.ts';
import { openStreams } from '../../support/stream.ts';

// What is refused is in increment.unit.test.ts.
void t.test(
  'good input is accepted, of any UUID version, in upper case too, and counted under one key',
  async (t) => {
    const { servers, gateway } = await shareMesh();
    const [key = ''] = makeKeys(1);
    const answer = await post(gateway.url, ` {"value": 2,\n"key": "${key.toUpperCase()}"} `);
    t.equal(answer.status, 200);
    t.match(JSON.parse(answer.body), { accepted: 1, id: /^[0-9a-f-]{36}$/, sequence: Number });
    t.equal((await post(gateway.url, { key, value: 3 })).status, 200);
    await untilCounted(servers.database, key, 5);

    const versions = ['1', '4', '7', '8', '0', 'f'].map(
      (version) => `0f8fad5b-d9cb-${version}69f-a165-${version.repeat(12)}`,
    );
    for (const each of versions) {
      t.equal((await post(gateway.url, { key: each, value: 1 })).status, 200, each);
    }
    for (const each of versions) await untilCounted(servers.database, each, 1);
  },
);

void t.test('a gateway that refuses', async (t) => {
  const servers = await startServers(t);
  const [limited, narrow] = await Promise.all([
    startGateway(t, servers, { RATE_LIMIT_MAX: '3' }),
    startGateway(t, servers, { WAITING_MAX: '1' }),
  ]);
  const [key = ''] = makeKeys(1);
  const body = { key, value: 1 };

  await t.test('by its rate limit says 429 and stores nothing', async (t) => {
    for (let count = 0; count < 3; count++) t.equal((await post(limited.url, body)).status, 200);
    const refused = await post(limited.url, body);
    t.equal(refused.status, 429);
    t.match(JSON.parse(refused.body), { code: 'rate-limited' });
    t.equal(refused.headers['ratelimit-policy'], '"default";q=3;w=86400');
    t.match(refused.headers['ratelimit'], /^"default";r=0;t=\d+$/);
    t.ok(Number(refused.headers['retry-after']) >= 1);
    t.equal((await servers.inspect()).messages, 3, 'a refused request is never stored');
    t.equal((await send(`${limited.url}/livez`)).status, 200, 'health is not limited');
  });

  await t.test('without traces sends no trace along', async (t) => {
    const traceparent = `00-${randomBytes(16).toString('hex')}-00f067aa0ba902b7-01`;
    const { status, body: text } = await post(narrow.url, body, { traceparent });
    t.equal(status, 200);
    const { sequence } = JSON.parse(text) as { sequence: number };
    const streams = await openStreams(t, servers);
    t.strictSame(await streams.readHeaderNames(sequence), ['Nats-Msg-Id']);
  });

  await t.test('for its broker says 503 and not 200', async (t) => {
    await freeze(servers.nats);
    // Two packs may be under way and one increment waits; the others are refused at once.
    const answers = await Promise.all(
      Array.from({ length: 6 }, async (_, index) => {
        await new Promise((resolve) => setTimeout(resolve, index * 20));
        return post(narrow.url, body);
      }),
    ).finally(() => servers.nats.kill('SIGCONT'));
    const codes = answers.map(({ body: text }) => (JSON.parse(text) as { code: string }).code);
    t.equal(answers.filter(({ status }) => status === 503).length, 6);
    t.ok(codes.includes('too-many-waiting'), codes.join());
    for (const { headers } of answers) t.ok(headers['retry-after']);
  });
});
