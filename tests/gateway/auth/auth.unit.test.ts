import { createHash } from 'node:crypto';
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

function createKey(name: string, secret: string, scopes: Scope[]) {
  return { name, sha256: createHash('sha256').update(secret).digest('hex'), scopes };
}
