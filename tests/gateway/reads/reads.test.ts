import { randomUUIDv7 } from 'node:crypto';
import t from 'tap';
import { makeKeys, untilCounted } from '../../support/counters.ts';
import { post, send } from '../../support/load.ts';
import { shareMesh } from '../../support/shared-mesh.ts';
import { until } from '../../support/until.ts';

void t.test('a counter is read as PostgreSQL has it', async (t) => {
  const { servers, gateway } = await shareMesh();
  const [key = ''] = makeKeys(1);
  const read = () => send(`${gateway.url}/counters/${key.toUpperCase()}`);
  const never = await read();
  t.equal(never.status, 404);
  t.match(JSON.parse(never.body), { status: 404, code: 'no-such-counter', detail: String });

  await post(gateway.url, { key, value: 5 });
  await untilCounted(servers.database, key, 5);
  const { status, body } = await read();
  t.equal(status, 200);
  t.match(JSON.parse(body), { key, value: '5', updated_at: /^\d{4}-.*Z$/ });
});

void t.test('several counters are read at once', async (t) => {
  const { servers, gateway } = await shareMesh();
  const [key = '', other = '', absent = ''] = makeKeys(3);
  const largest = '9223372036854775807';
  await post(gateway.url, { key, value: 1 });
  await post(gateway.url, `{"key":"${other}","value":${largest}}`);
  await untilCounted(servers.database, key, 1);
  await untilCounted(servers.database, other, BigInt(largest));
  const read = (query: string) => send(`${gateway.url}/counters?${query}`);

  const answer = await read([other, absent, key].map((each) => `key=${each}`).join('&'));
  t.match(JSON.parse(answer.body), {
    counters: [
      { key: other, value: largest, updated_at: String },
      { key: absent, value: '0', updated_at: null },
      { key, value: '1' },
    ],
  });
  t.match(JSON.parse((await read(`key=${key}`)).body), { counters: [{ key }] });
  t.equal((await read('')).status, 400);
  t.equal((await read('key=5')).status, 400);
  const tooMany = Array.from({ length: 101 }, () => `key=${key}`).join('&');
  t.equal((await read(tooMany)).status, 400);
});

void t.test('whether an increment is committed can be asked', async (t) => {
  const { gateway } = await shareMesh();
  const read = async (id: string) =>
    JSON.parse((await send(`${gateway.url}/increments/${id}`)).body) as object;
  const unknown = randomUUIDv7();
  t.strictSame(await read(unknown.toUpperCase()), {
    id: unknown,
    committed: false,
    parked: false,
    sequence: null,
    stored_at: null,
    increments: null,
  });

  const { body } = await post(gateway.url, { key: makeKeys(1)[0], value: 1 });
  const { id, sequence } = JSON.parse(body) as { id: string; sequence: number };
  const committed = await until(
    'the commit',
    () => read(id),
    (found) => 'sequence' in found && found.sequence === sequence,
  );
  t.match(committed, {
    id,
    committed: true,
    parked: false,
    stored_at: /^\d{4}-/,
    increments: { counted: 1, repeated: 0, dead_letters: [] },
  });
  t.strictSame(await read(id.toUpperCase()), committed, 'in either case');
});
