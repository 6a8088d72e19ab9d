import t from 'tap';
import { makeKeys, readCounter, untilCounted } from '../../support/counters.ts';
import { post, send } from '../../support/load.ts';
import { sumSamples, readMetrics } from '../../support/metrics.ts';
import { startGateway } from '../../support/services.ts';
import { shareMesh } from '../../support/shared-mesh.ts';
import { until } from '../../support/until.ts';

const LARGEST = '9223372036854775807';

// What is refused is in batches.unit.test.ts.
void t.test('10 000 increments are one message, exact', async (t) => {
  const { servers, gateway, streams } = await shareMesh();
  const { length: deadBefore } = await streams.readDeadLetters();
  const countAccepted = async () =>
    sumSamples(await readMetrics(gateway.metrics), 'increments_accepted_total');
  const acceptedBefore = await countAccepted();
  const [key = '', other = ''] = makeKeys(2);
  const [name = ''] = makeKeys(1);
  const postBatch = (body: string, headers: Record<string, string>, { url } = gateway) =>
    send(`${url}/increments`, { method: 'POST', body, headers });
  const good = `{"key":"${key}","value":1}`;
  const batch = Array.from({ length: 9_999 }, () => good);
  batch.push(`{"key":"${other.toUpperCase()}","value":${LARGEST}}`);

  const answer = await postBatch(` [\n${batch.join(',\n')}\n] `, { 'idempotency-key': name });
  t.match(JSON.parse(answer.body), { accepted: 10_000, sequence: Number });
  const again = await postBatch(batch.join('\n'), {
    'content-type': 'Application/X-NDJSON; charset=utf-8',
    'idempotency-key': name,
  });
  t.equal(again.headers['idempotent-replayed'], 'true', 'the same increments, written otherwise');
  t.equal((await postBatch(`[${good}]`, { 'idempotency-key': name })).status, 422);
  t.equal((await countAccepted()) - acceptedBefore, 10_000);
  const { sequence } = JSON.parse(answer.body) as { sequence: number };
  const next = await post(gateway.url, { key, value: 1 });
  t.match(JSON.parse(next.body), { sequence: sequence + 1 }, 'one message');

  const elsewhere = await startGateway(t, servers);
  const once = { 'idempotency-key': name };
  const repeat = await postBatch(`[${batch.join(',')}]`, once, elsewhere);
  t.equal(repeat.status, 200, 'a repeat through another gateway');
  t.equal(repeat.headers['idempotent-replayed'], undefined, 'which can not know');
  const another = await postBatch(`[${good}]`, { 'idempotency-key': `${name}-2` }, elsewhere);
  t.equal(another.status, 200);

  await untilCounted(servers.database, key, 9_999 + 2);
  await until('a quiet stream', servers.inspect, ({ messages }) => messages === 0);
  t.equal(await readCounter(servers.database, key), String(9_999 + 2));
  t.equal(await readCounter(servers.database, other), LARGEST);
  t.equal((await streams.readDeadLetters()).length, deadBefore);
});
