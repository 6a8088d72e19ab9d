import t from 'tap';
import { makeKeys, readCounters, untilTotal } from '../../support/counters.ts';
import { send } from '../../support/load.ts';
import { sumSamples, readMetrics } from '../../support/metrics.ts';
import { startServers } from '../../support/servers.ts';
import { startCounter, startGateway } from '../../support/services.ts';
import { openStreams } from '../../support/stream.ts';
import { until } from '../../support/until.ts';

const LARGEST = '9223372036854775807';

// What is refused is in batches.unit.test.ts.
void t.test('POST /increments', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: 300 });
  const streams = await openStreams(t, servers);
  const gateway = await startGateway(t, servers);
  const [key = '', other = ''] = makeKeys(2);
  const postBatch = (body: string, headers: Record<string, string> = {}) =>
    send(`${gateway.url}/increments`, { method: 'POST', body, headers });
  const good = `{"key":"${key}","value":1}`;

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
