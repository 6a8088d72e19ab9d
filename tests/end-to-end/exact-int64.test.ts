import t from 'tap';
import { makeKeys, readCounter, untilCounted } from '../support/counters.ts';
import { post, send } from '../support/load.ts';
import { shareMesh } from '../support/shared-mesh.ts';

const ACCEPTED = [1n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n];
const REFUSED = ['0', '-1', '9223372036854775808', '1.5', '"01"', '1.0', '1e3', 'null', 'true'];

void t.test('every int64 is exact from the request to the table and back', async (t) => {
  const { servers, gateway } = await shareMesh();
  const keys = makeKeys(ACCEPTED.length);
  for (const [index, value] of ACCEPTED.entries()) {
    const answer = await post(gateway.url, `{"key":"${keys[index]}","value":${value}}`);
    t.equal(answer.status, 200, `${value} is accepted`);
    const text = await post(gateway.url, { key: keys[index], value: String(value) });
    t.equal(text.status, 200, `"${value}" is accepted`);
  }
  for (const refused of REFUSED) {
    const answer = await post(gateway.url, `{"key":"${keys[0]}","value":${refused}}`);
    t.equal(answer.status, 400, `${refused} is refused`);
    t.match(JSON.parse(answer.body), { code: 'invalid-request', errors: [{ pointer: '/value' }] });
  }

  for (const [index, value] of ACCEPTED.entries()) {
    const key = keys[index] ?? '';
    const total = 2n * value;
    await untilCounted(servers.database, key, total);
    t.equal(await readCounter(servers.database, key), String(total), 'the table has every digit');
    const answer = await send(`${gateway.url}/counters/${key.toUpperCase()}`);
    t.match(JSON.parse(answer.body), { key, value: String(total) });
  }
});

void t.test('a counter can be larger than an int64', async (t) => {
  const { servers, gateway } = await shareMesh();
  const largest = 2n ** 63n - 1n;
  const [key = ''] = makeKeys(1);
  for (let count = 0; count < 3; count++) {
    await post(gateway.url, `{"key":"${key}","value":${largest}}`);
  }
  await untilCounted(servers.database, key, 3n * largest);
  t.equal(await readCounter(servers.database, key), String(3n * largest));
});
