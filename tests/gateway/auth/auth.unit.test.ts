import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openApiKeys } from '../../../gateway/auth/api-keys.ts';
import type { ApiKeysFile, Scope } from '../../../schema/http/api-keys.ts';
import { makeKeys } from '../../support/counters.ts';
import { buildTestGateway } from '../test-gateway.ts';

void t.test('with API keys each route asks for its scope', async (t) => {
  const file = join(t.testdir(), 'api-keys.json');
  const keys = [
    createKey('writer', 'w-secret', ['write']),
    createKey('other', 'o-secret', ['write']),
    createKey('reader', 'r-secret', ['read']),
  ];
  writeFileSync(file, JSON.stringify({ keys } satisfies ApiKeysFile));
  const apiKeys = openApiKeys(file, (problem) => t.fail(problem));
  const { send, post } = await buildTestGateway(t, { apiKeys });
  const [key = ''] = makeKeys(1);
  const body = { key, value: 1 };
  const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });

  const anonymous = await post('/increment', body);
  t.equal(anonymous.status, 401);
  t.equal(anonymous.headers['www-authenticate'], 'Bearer realm="increment-mesh"');
  t.match(JSON.parse(anonymous.body), { code: 'unauthorized', status: 401 });
  const wrong = await post('/increment', body, bearer('wrong'));
  t.match(wrong.headers['www-authenticate'], /invalid_token/);
  t.equal(wrong.status, 401);
  const reader = await post('/increment', body, bearer('r-secret'));
  t.equal(reader.status, 403);
  t.match(reader.headers['www-authenticate'], /insufficient_scope.*write/);
  t.equal((await post('/increment', body, bearer('w-secret'))).status, 200);
  const read = (secret: string) => send(`/counters/${key}`, { headers: bearer(secret) });
  t.equal((await read('w-secret')).status, 403);
  const allowed = await read('r-secret');
  t.match(JSON.parse(allowed.body), { code: 'database-away' }, 'the database is asked');
  t.equal((await send('/readyz')).status, 200, 'health is open');

  const name = { 'idempotency-key': 'same' };
  t.equal((await post('/increment', body, { ...bearer('w-secret'), ...name })).status, 200);
  const other = await post('/increment', body, { ...bearer('o-secret'), ...name });
  t.equal(other.status, 200);
  t.equal(other.headers['idempotent-replayed'], undefined, "another client's key is another key");
});

void t.test('a key is refused from its expiry on, whatever the clock did before', async (t) => {
  const file = join(t.testdir(), 'api-keys.json');
  const expires = new Date(Date.now() + 3_600_000).toISOString();
  const keys = [
    { ...createKey('web', 'expiring', ['write', 'read']), expires },
    createKey('web', 'new', ['write']),
  ];
  writeFileSync(file, JSON.stringify({ keys } satisfies ApiKeysFile));
  const apiKeys = openApiKeys(file, (problem) => t.fail(problem));
  let showEvent: (event: string) => void = () => t.fail('no console watches');
  const watch = (listener: (event: string) => void) => {
    showEvent = listener;
    return () => undefined;
  };
  const gateway = await buildTestGateway(t, { apiKeys, meshView: { watch } });
  const { post } = gateway;
  const body = { key: makeKeys(1)[0], value: 1 };
  const send = (secret: string) =>
    post('/increment', body, { authorization: `Bearer ${secret}`, 'idempotency-key': 'same' });

  t.equal((await send('expiring')).status, 200);
  const repeat = await send('new');
  t.equal(repeat.headers['idempotent-replayed'], 'true', 'both secrets are one client');
  const found = apiKeys.find('expiring');

  const { now } = Date;
  t.teardown(() => (Date.now = now));
  const events = await gateway.app.inject({
    url: '/events',
    headers: { authorization: 'Bearer expiring' },
    payloadAsStream: true,
  });
  const stream = events.stream();
  let seen = '';
  stream.on('data', (chunk) => (seen += String(chunk)));
  const ended = once(stream, 'end');
  showEvent('{"number":1}');
  Date.now = () => Date.parse(expires);
  showEvent('{"number":2}');
  await ended;
  t.match(seen, '{"number":1}');
  t.notMatch(seen, '{"number":2}', 'an open console ends at its next event');
  const expired = await send('expiring');
  t.equal(expired.status, 401);
  t.match(JSON.parse(expired.body), {
    code: 'unauthorized',
    detail: `The key "web" expired at ${expires}`,
  });
  t.match(expired.headers['www-authenticate'], /invalid_token/);
  const minute = Math.floor(now() / 60_000);
  const lastUse = apiKeys.readUses()[found!.sha256.slice(0, 16)] ?? 0;
  t.ok(lastUse <= minute && lastUse >= minute - 1, 'a refused request is no use');
  t.equal((await send('new')).status, 200, 'the other secret of the name holds');

  Date.now = () => Date.parse(expires) - 1;
  t.equal((await send('expiring')).status, 200, 'a clock that is set back counts too');
});

void t.test('a key of a former version may do what it could, and operate', async (t) => {
  const file = join(t.testdir(), 'api-keys.json');
  const former = { ...createKey('former', 'f-secret', []), scopes: ['admin'] };
  writeFileSync(file, JSON.stringify({ keys: [former] }));
  const apiKeys = openApiKeys(file, (problem) => t.fail(problem));
  const { send, post } = await buildTestGateway(t, { apiKeys });
  const headers = { authorization: 'Bearer f-secret' };
  const events = await send('/events', { method: 'HEAD', headers });
  t.equal(events.status, 200);
  t.equal((await send('/counters?key=x', { headers })).status, 403);
  t.equal((await post('/increment', {}, headers)).status, 403);
  t.strictSame(apiKeys.find('f-secret')?.scopes, ['operate']);
});

function createKey(name: string, secret: string, scopes: Scope[]) {
  return { name, sha256: createHash('sha256').update(secret).digest('hex'), scopes };
}
