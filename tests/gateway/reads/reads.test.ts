import { randomUUIDv7 } from 'node:crypto';
import t from 'tap';
import { insertCounters, makeKeys, untilCounted } from '../../support/counters.ts';
import { post, send } from '../../support/load.ts';
import { startGateway } from '../../support/services.ts';
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

void t.test('a key that was just accepted is said to be not counted yet', async (t) => {
  const { gateway } = await shareMesh();
  // A flush may come between the two.
  for (const key of makeKeys(20)) {
    t.equal((await post(gateway.url, { key, value: 5 })).status, 200);
    const { status, body } = await send(`${gateway.url}/counters/${key}`);
    if (status === 200) continue;
    const { detail, complete_through: through } = JSON.parse(body) as Record<string, string>;
    t.match(detail, new RegExp(`^${key} is not counted yet: .* within 10 s of its 200\\.`));
    t.ok(detail?.endsWith(` The counters have every increment from before ${through}.`));
    return;
  }
  t.fail('a flush came between each two');
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
  t.equal((await read('key=5')).status, 400);
  const tooMany = Array.from({ length: 101 }, () => `key=${key}`).join('&');
  t.equal((await read(tooMany)).status, 400);
});

void t.test('a read says how complete it is, and can wait to be', async (t) => {
  const { gateway } = await shareMesh();
  const [key = ''] = makeKeys(1);
  const { body } = await post(gateway.url, { key, value: 5 });
  const acceptedAt = Date.now();
  const { sequence } = JSON.parse(body) as { sequence: number };
  const read = async (atLeast: string | number, headers = {}) => {
    const answer = await send(`${gateway.url}/counters/${key}?at_least=${atLeast}`, { headers });
    return { ...answer, body: JSON.parse(answer.body) as Record<string, unknown> };
  };
  const early = await read(sequence);
  t.equal(early.status, 504);
  t.match(early.body, { code: 'not-yet-complete', complete_sequence: Number });
  t.ok(Number(early.body['complete_sequence']) < sequence);

  const [bySequence, byTime] = await Promise.all([
    read(sequence, { prefer: 'wait=20' }),
    read(new Date(acceptedAt).toISOString(), { prefer: 'wait=20' }),
  ]);
  for (const { status, body, headers } of [bySequence, byTime]) {
    t.equal(status, 200);
    t.match(body, { key, value: '5' });
    t.equal(headers['preference-applied'], 'wait=20');
    t.ok(Number(body['complete_sequence']) >= sequence);
  }
  t.ok(Date.parse(String(byTime.body['complete_through'])) >= acceptedAt);

  const several = await send(`${gateway.url}/counters?key=${key}&at_least=${sequence}`);
  t.match(JSON.parse(several.body), { counters: [{ value: '5' }], complete_through: String });
  const absent = await send(`${gateway.url}/counters/${makeKeys(1)[0]}?at_least=${sequence}`);
  t.equal(absent.status, 404);
  t.match(JSON.parse(absent.body), { complete_through: String }, 'that it is not counted, too');
  t.equal((await read('yesterday')).status, 400);
});

void t.test('how complete counters are moves on while nothing comes', async (t) => {
  const { gateway } = await shareMesh();
  const [key = ''] = makeKeys(1);
  for (let look = 0; look < 3; look++) {
    const at = new Date().toISOString();
    const url = `${gateway.url}/counters?key=${key}&at_least=${at}`;
    const { status, body } = await send(url, { headers: { prefer: 'wait=13' } });
    t.equal(status, 200);
    const { complete_through } = JSON.parse(body) as { complete_through: string };
    t.ok(complete_through >= at);
    t.ok(Date.now() - Date.parse(at) <= 12_000, 'at most eleven seconds behind, and a look');
  }
});

void t.test('all counters are listed in parts', async (t) => {
  const { servers, gateway } = await shareMesh();
  const keys = makeKeys(5).toSorted();
  await insertCounters(servers, keys);
  const list = async (query: string) => {
    const answer = await send(`${gateway.url}/counters?${query}`);
    return JSON.parse(answer.body) as List;
  };
  const found: string[] = [];
  let after = '';
  do {
    const { counters, next, complete_through } = await list(`limit=2${after}`);
    t.ok(counters.length <= 2);
    t.type(complete_through, 'string');
    found.push(...counters.map(({ key }) => key));
    after = next === null ? '' : `&after=${next.toUpperCase()}`;
  } while (after !== '');
  const all = await list('limit=1000');
  t.strictSame(
    found,
    all.counters.map(({ key }) => key),
    'each once, in the order of keys',
  );
  t.strictSame(found, found.toSorted());
  t.equal(all.next, null);
  t.ok(keys.every((key) => found.includes(key)));
  const { counters } = await list(`after=${keys.at(-2)}`);
  t.strictSame(counters, all.counters.slice(found.indexOf(keys.at(-2)!) + 1));
  const last = await list('after=ffffffff-ffff-ffff-ffff-ffffffffffff');
  t.match(last, { counters: [], next: null, complete_through: String });
  for (const query of [
    'limit=0',
    'limit=1001',
    'limit=a',
    'after=5',
    `key=${keys[0]}&limit=1`,
    `key=${keys[0]}&after=${keys[0]}`,
  ])
    t.match(await list(query), { status: 400, code: 'invalid-request' }, query);
  const both = await list(`key=${keys[0]}&after=${keys[0]}`);
  t.match(both, { errors: [{ pointer: '/after', detail: /does not go with key/ }] });
  t.match(await list('at_least=999999999'), { status: 504 });
});

void t.test('thousands of counters are read by one POST, which no limit counts', async (t) => {
  const { servers } = await shareMesh();
  const gateway = await startGateway(t, servers, { RATE_LIMIT_MAX: '1' });
  const keys = makeKeys(10_000);
  await insertCounters(servers, keys.slice(1));
  const query = async (body: unknown, search = '') => {
    const options = { method: 'POST', body: JSON.stringify(body) };
    const answer = await send(`${gateway.url}/counters/query${search}`, options);
    return JSON.parse(answer.body) as List;
  };
  const startedAt = performance.now();
  const { counters, complete_through } = await query({ keys });
  const ms = performance.now() - startedAt;
  t.comment(`10 000 keys in ${ms.toFixed(0)} ms`);
  t.type(complete_through, 'string');
  t.strictSame(
    counters.map(({ key, value }) => [key, value]),
    keys.map((key, index) => [key, index === 0 ? '0' : '7']),
    'in the order asked',
  );
  for (const body of [5, [], {}, { keys: [] }, { keys: ['5'] }, { keys: [...keys, keys[0]] }])
    t.match(await query(body), { status: 400, code: 'invalid-request' });
  t.match(await query({ keys: keys.slice(0, 2) }, '?at_least=999999999'), { status: 504 });
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

interface List {
  counters: { key: string; value: string }[];
  next: string | null;
  complete_through: string;
}
