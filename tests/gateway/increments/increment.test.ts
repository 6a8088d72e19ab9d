import t from 'tap';
import { freeze } from '../../support/freeze.ts';
import { readCounters, untilTotal } from '../../support/counters.ts';
import { post, send } from '../../support/load.ts';
import { startServers } from '../../support/servers.ts';
import { startCounter, startGateway } from '../../support/services.ts';

const KEY = '0f8fad5b-d9cb-469f-a165-70867728950e';

// What is refused is in increment.unit.test.ts.
void t.test('POST /increment', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: 300 });
  const [gateway, limited, narrow] = await Promise.all([
    startGateway(t, servers),
    startGateway(t, servers, { RATE_LIMIT_MAX: '3' }),
    startGateway(t, servers, { WAITING_MAX: '1' }),
  ]);

  await t.test('the rate limit refuses with a 429 and stores nothing', async (t) => {
    const body = { key: KEY, value: 1 };
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

  await t.test(
    'good input is accepted, of any UUID version, in upper case too, and counted under one key',
    async (t) => {
      const never = await send(`${gateway.url}/counters/${KEY}`);
      t.equal(never.status, 404);
      t.match(JSON.parse(never.body), { status: 404, code: 'no-such-counter', detail: String });

      await startCounter(t, servers, { FLUSH_INTERVAL_MS: '300' });
      const answer = await post(gateway.url, ` {"value": 2,\n"key": "${KEY.toUpperCase()}"} `);
      t.equal(answer.status, 200);
      t.match(JSON.parse(answer.body), { accepted: 1, id: /^[0-9a-f-]{36}$/, sequence: 4 });
      await untilTotal(servers.database, 3 + 2);
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
    await freeze(servers.nats);
    // Two packs may be under way and one increment waits; the others are refused at once.
    const answers = await Promise.all(
      Array.from({ length: 6 }, async (_, index) => {
        await new Promise((resolve) => setTimeout(resolve, index * 20));
        return post(narrow.url, { key: KEY, value: 1 });
      }),
    ).finally(() => servers.nats.kill('SIGCONT'));
    const codes = answers.map(({ body }) => (JSON.parse(body) as { code: string }).code);
    t.equal(answers.filter(({ status }) => status === 503).length, 6);
    t.ok(codes.includes('too-many-waiting'), codes.join());
    for (const { headers } of answers) t.ok(headers['retry-after']);
  });
});
