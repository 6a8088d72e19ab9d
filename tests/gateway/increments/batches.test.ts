import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { provision } from '../../../nats/provision.ts';
import { startBareServer } from '../../nats/bare-server.ts';
import { makeKeys, readCounters, untilTotal } from '../../support/counters.ts';
import { send } from '../../support/load.ts';
import { sumSamples, readMetrics } from '../../support/metrics.ts';
import { startServers } from '../../support/servers.ts';
import { startCounter, startGateway } from '../../support/services.ts';
import { openStreams } from '../../support/stream.ts';
import { until } from '../../support/until.ts';

const LARGEST = '9223372036854775807';

void t.test('the contract of POST /increments', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: 300 });
  const streams = await openStreams(t, servers);
  const gateway = await startGateway(t, servers);
  const [key = '', other = ''] = makeKeys(2);
  const postBatch = (body: string, headers: Record<string, string> = {}) =>
    send(`${gateway.url}/increments`, { method: 'POST', body, headers });
  const lines = { 'content-type': 'application/x-ndjson' };
  const good = `{"key":"${key}","value":1}`;

  await t.test('bad items refuse the batch, and each is listed', async (t) => {
    const bad = ['{"key":"x","value":1}', '{}', `{"key":"${key}","value":1.0}`];
    const answer = await postBatch(`[${[good, bad[0], good, bad[1], bad[2], good].join(',')}]`);
    t.equal(answer.status, 400);
    const { errors } = JSON.parse(answer.body) as { errors: { pointer: string }[] };
    t.strictSame(
      errors.map(({ pointer }) => pointer),
      ['/1/key', '/3/key', '/3/value', '/4/value'],
    );
    const ndjson = await postBatch([good, bad[0], 'x', good].join('\n'), lines);
    t.equal(ndjson.status, 400);
    t.match(JSON.parse(ndjson.body), {
      errors: [{ pointer: 'line 2/key' }, { pointer: 'line 3', detail: 'is not JSON' }],
    });
    const many = await postBatch(`[${Array.from({ length: 500 }, () => bad[0]).join(',')}]`);
    t.match(JSON.parse(many.body), { detail: /500 of the increments/ });
    t.equal((JSON.parse(many.body) as { errors: unknown[] }).errors.length, 100);

    for (const body of ['[]', '{}', '5', good]) t.equal((await postBatch(body)).status, 400, body);
    t.equal((await postBatch('', lines)).status, 400);
    const tooMany = `[${Array.from({ length: 10_001 }, () => good).join(',')}]`;
    t.equal((await postBatch(tooMany)).status, 400);
    t.equal((await postBatch(`[${'x'.repeat(1_100_000)}]`)).status, 413);
    t.equal(
      (await send(`${gateway.url}/increment`, { method: 'POST', body: good, headers: lines }))
        .status,
      415,
    );
    t.equal((await servers.inspect()).messages, 0, 'nothing was stored');
  });

  await t.test('a batch without a body is told so', async (t) => {
    const answer = await send(`${gateway.url}/increments`, { method: 'POST' });
    t.equal(answer.status, 400);
    t.match(JSON.parse(answer.body), { code: 'invalid-json', detail: /^The body is missing/ });
  });

  await t.test('10 000 increments are one message, exact', async (t) => {
    const batch = Array.from({ length: 9_999 }, () => good);
    batch.push(`{"key":"${other.toUpperCase()}","value":${LARGEST}}`);
    const answer = await postBatch(` [\n${batch.join(',\n')}\n] `, { 'idempotency-key': 'all' });
    t.match(JSON.parse(answer.body), { accepted: 10_000, sequence: 1 });
    const again = await postBatch(batch.join('\n'), {
      'content-type': 'Application/X-NDJSON; charset=utf-8',
      'idempotency-key': 'all',
    });
    t.equal(again.headers['idempotent-replayed'], 'true', 'the same increments, written otherwise');
    t.equal((await postBatch(`[${good}]`, { 'idempotency-key': 'all' })).status, 422);
    t.equal((await servers.inspect()).messages, 1);
    t.equal(sumSamples(await readMetrics(gateway.metrics), 'increments_accepted_total'), 10_000);

    const next = await startGateway(t, servers);
    const repeat = await send(`${next.url}/increments`, {
      method: 'POST',
      body: `[${batch.join(',')}]`,
      headers: { 'idempotency-key': 'all' },
    });
    t.equal(repeat.status, 200, 'a repeat through another gateway');
    const reused = await send(`${next.url}/increments`, {
      method: 'POST',
      body: `[${good}]`,
      headers: { 'idempotency-key': 'all-2' },
    });
    t.equal(reused.status, 200);

    await startCounter(t, servers, { FLUSH_INTERVAL_MS: '300' });
    await untilTotal(servers.database, 10_000n + BigInt(LARGEST));
    await until(
      'a quiet stream',
      () => servers.inspect(),
      ({ messages }) => messages === 0,
    );
    t.strictSame(
      await readCounters(servers.database),
      new Map([key, other].toSorted().map((each) => [each, each === key ? '10000' : LARGEST])),
    );
    t.strictSame(await streams.readDeadLetters(), []);
  });

  await t.test('several counters are read at once', async (t) => {
    const [absent = ''] = makeKeys(1);
    const query = [other, absent, key].map((each) => `key=${each}`).join('&');
    const answer = await send(`${gateway.url}/counters?${query}`);
    t.match(JSON.parse(answer.body), {
      counters: [
        { key: other, value: LARGEST, updated_at: String },
        { key: absent, value: '0', updated_at: null },
        { key, value: '10000' },
      ],
    });
    t.match(JSON.parse((await send(`${gateway.url}/counters?key=${key}`)).body), {
      counters: [{ key }],
    });
    t.equal((await send(`${gateway.url}/counters`)).status, 400);
    t.equal((await send(`${gateway.url}/counters?key=5`)).status, 400);
    const tooMany = Array.from({ length: 101 }, () => `key=${key}`).join('&');
    t.equal((await send(`${gateway.url}/counters?${tooMany}`)).status, 400);
  });
});

void t.test(
  'a batch that the broker has no room for in a message is refused at once',
  async (t) => {
    const folder = t.testdir();
    const settings = `max_payload: 32KB\njetstream { store_dir: "${join(folder, 'store')}" }\n`;
    writeFileSync(join(folder, 'nats.conf'), settings);
    const url = await startBareServer(t, join(folder, 'nats.conf'));
    await until(
      'a stream',
      () => provision({ url, replicas: 1, flushIntervalMs: 9_000 }).then(Boolean, () => undefined),
      (made) => made !== undefined,
    );
    const gateway = await startGateway(t, {
      urls: { nats: { gateway: url }, gatewayDatabase: 'postgres://127.0.0.1:1/none' },
    });
    const increment = { key: makeKeys(1)[0], value: 1 };
    const postBatch = (count: number) =>
      send(`${gateway.url}/increments`, {
        method: 'POST',
        body: JSON.stringify(Array.from({ length: count }, () => increment)),
      });
    const refused = await postBatch(1_000);
    t.equal(refused.status, 413);
    t.match(JSON.parse(refused.body), {
      code: 'body-too-large',
      detail: /a message of this broker holds 28672 \(its max_payload\). Nothing was stored/,
    });
    t.match(JSON.parse((await postBatch(500)).body), { accepted: 500, sequence: 1 });
  },
);
