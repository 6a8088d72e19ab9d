import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import t from 'tap';
import type { ApiKeysFile, Scope } from '../../../schema/http/api-keys.ts';
import { commandsOn } from '../../mesh/cli/run-command.ts';
import { makeCertificates } from '../../support/certificates.ts';
import { makeKeys } from '../../support/counters.ts';
import { post } from '../../support/load.ts';
import { startServers } from '../../support/servers.ts';
import { startGateway } from '../../support/services.ts';
import { until } from '../../support/until.ts';

void t.test('API keys, and certificates', async (t) => {
  const servers = await startServers(t);
  const file = join(servers.folder, 'api-keys.json');
  const slow = { ...createKey('slow', 's-secret', ['write']), rate_limit_max: 1 };
  write(file, { keys: [createKey('writer', 'w-secret', ['write']), slow] });
  const { caFile, certFile, keyFile } = makeCertificates(join(servers.folder, 'tls'));
  const withKeys = { API_KEYS_FILE: file, RATE_LIMIT_MAX: '0' };
  const [gateway, other, secure] = await Promise.all([
    startGateway(t, servers, withKeys),
    startGateway(t, servers, withKeys),
    startGateway(t, servers, { TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile }),
  ]);
  const [key = ''] = makeKeys(1);
  const body = { key, value: 1 };
  const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });

  await t.test(
    'a key has its own limit over all gateways, also where no other has one',
    async (t) => {
      t.equal((await post(gateway.url, body)).status, 401);
      t.equal((await post(gateway.url, body, bearer('s-secret'))).status, 200);
      t.equal((await post(other.url, body, bearer('s-secret'))).status, 429);
      t.equal((await post(gateway.url, body, bearer('s-secret'))).status, 429);
      t.equal((await post(other.url, body, bearer('w-secret'))).status, 200);
    },
  );

  await t.test('the file of keys is read again when it changes', async (t) => {
    const name = { 'idempotency-key': 'same' };
    t.equal((await post(gateway.url, body, { ...bearer('w-secret'), ...name })).status, 200);
    write(file, { keys: [createKey('writer', 'rotated', ['write'])] });
    const rotated = () => post(gateway.url, body, { ...bearer('rotated'), ...name });
    const repeat = await until('the new secret', rotated, ({ status }) => status === 200);
    t.equal(repeat.headers['idempotent-replayed'], 'true', 'a rotated secret keeps its keys');
    const old = await post(gateway.url, body, bearer('w-secret'));
    t.equal(old.status, 401, 'the old secret is gone');

    writeFileSync(file, '{"keys": [{}]}');
    await until('the complaint', () =>
      gateway.log.some(({ level, msg }) => level === 50 && msg.includes('API_KEYS_FILE')),
    );
    const after = await post(gateway.url, body, bearer('rotated'));
    t.equal(after.status, 200, 'a broken file changes nothing');
  });

  await t.test('the list of keys tells which secret was used last, and when', async (t) => {
    write(file, {
      keys: [createKey('writer', 'rotated', ['write']), createKey('idle', 'i', ['read'])],
    });
    const { answer } = await commandsOn(servers)(`keys list --json --file ${file}`);
    const { keys } = answer() as { keys: { name: string; last_used: string | null }[] };
    const used = Date.parse(keys[0]?.last_used ?? '');
    t.ok(Date.now() - used < 180_000 && used % 60_000 === 0, `to the minute: ${used}`);
    t.match(keys[1], { name: 'idle', last_used: null });
  });

  await t.test('a gateway speaks TLS by a certificate and its key', async (t) => {
    const url = secure.url.replace('http:', 'https:');
    const ca = readFileSync(caFile);
    const status = await new Promise((resolve, reject) => {
      request(`${url}/livez`, { ca }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      })
        .on('error', reject)
        .end();
    });
    t.equal(status, 200);
  });
});

function createKey(name: string, secret: string, scopes: Scope[]) {
  return { name, sha256: createHash('sha256').update(secret).digest('hex'), scopes };
}

function write(file: string, content: ApiKeysFile): void {
  writeFileSync(file, JSON.stringify(content));
}
