import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import t from 'tap';
import { readGatewayConfig } from '../../../gateway/config.ts';
import type { ApiKeysFile, Scope } from '../../../schema/http/api-keys.ts';
import { makeKeys } from '../../support/counters.ts';
import { post, send } from '../../support/load.ts';
import { startServers } from '../../support/servers.ts';
import { startGateway } from '../../support/services.ts';
import { until } from '../../support/until.ts';

void t.test('with API keys each route asks for its scope', async (t) => {
  const servers = await startServers(t);
  const file = join(servers.folder, 'api-keys.json');
  const keys = [
    createKey('writer', 'w-secret', ['write']),
    createKey('other', 'o-secret', ['write']),
    createKey('reader', 'r-secret', ['read']),
    { ...createKey('slow', 's-secret', ['write']), rate_limit_max: 1 },
  ];
  write(file, { keys });
  const gateway = await startGateway(t, servers, { API_KEYS_FILE: file, RATE_LIMIT_MAX: '100' });
  const [key = ''] = makeKeys(1);
  const body = { key, value: 1 };
  const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });

  const anonymous = await post(gateway.url, body);
  t.equal(anonymous.status, 401);
  t.equal(anonymous.headers['www-authenticate'], 'Bearer realm="increment-mesh"');
  t.match(JSON.parse(anonymous.body), { code: 'unauthorized', status: 401 });
  const wrong = await post(gateway.url, body, bearer('wrong'));
  t.match(wrong.headers['www-authenticate'], /invalid_token/);
  t.equal(wrong.status, 401);
  const reader = await post(gateway.url, body, bearer('r-secret'));
  t.equal(reader.status, 403);
  t.match(reader.headers['www-authenticate'], /insufficient_scope.*write/);
  t.equal((await post(gateway.url, body, bearer('w-secret'))).status, 200);
  t.equal(
    (await send(`${gateway.url}/counters/${key}`, { headers: bearer('w-secret') })).status,
    403,
  );
  t.equal(
    (await send(`${gateway.url}/counters/${key}`, { headers: bearer('r-secret') })).status,
    404,
  );
  t.equal((await send(`${gateway.url}/readyz`)).status, 200, 'health is open');

  t.equal((await post(gateway.url, body, bearer('s-secret'))).status, 200);
  t.equal((await post(gateway.url, body, bearer('s-secret'))).status, 429, 'a limit of its own');

  const name = { 'idempotency-key': 'same' };
  t.equal((await post(gateway.url, body, { ...bearer('w-secret'), ...name })).status, 200);
  const other = await post(gateway.url, body, { ...bearer('o-secret'), ...name });
  t.equal(other.status, 200);
  t.equal(other.headers['idempotent-replayed'], undefined, "another client's key is another key");
  write(file, { keys: [createKey('writer', 'rotated', ['write'])] });
  const rotated = () => post(gateway.url, body, { ...bearer('rotated'), ...name });
  const repeat = await until('the new secret', rotated, ({ status }) => status === 200);
  t.equal(repeat.headers['idempotent-replayed'], 'true', 'a rotated secret keeps its keys');
  t.equal(
    (await post(gateway.url, body, bearer('w-secret'))).status,
    401,
    'the old secret is gone',
  );

  writeFileSync(file, '{"keys": [{}]}');
  await until(
    'the complaint',
    () => gateway.log.some(({ level, msg }) => level === 50 && msg.includes('API_KEYS_FILE')),
    (complained) => complained,
  );
  t.equal(
    (await post(gateway.url, body, bearer('rotated'))).status,
    200,
    'a broken file changes nothing',
  );
});

void t.test('a gateway beyond loopback refuses to be open by accident', (t) => {
  const environment = { NATS_URL: 'nats://x', DATABASE_URL: 'postgres://x', HOST: '0.0.0.0' };
  t.throws(() => readGatewayConfig(environment), /HOST is 0\.0\.0\.0.*AUTH=off/);
  t.doesNotThrow(() => readGatewayConfig({ ...environment, AUTH: 'off' }));
  t.doesNotThrow(() => readGatewayConfig({ ...environment, API_KEYS_FILE: 'keys.json' }));
  t.doesNotThrow(() => readGatewayConfig({ ...environment, HOST: '127.0.0.1' }));
  t.end();
});

void t.test('bad configuration lists every problem at once and exits', (t) => {
  const { status, stderr } = spawnSync(process.execPath, ['gateway/main.ts'], {
    env: { PORT: '10s', NATS_URL: 'http://secret@x', PUBLISH_DEADLINE_MS: '1', LOG_LEVEL: 'loud' },
    encoding: 'utf8',
  });
  t.equal(status, 1);
  for (const name of ['PORT', 'NATS_URL', 'DATABASE_URL', 'PUBLISH_DEADLINE_MS', 'LOG_LEVEL']) {
    t.match(stderr, new RegExp(`^  ${name} is `, 'm'));
  }
  t.notMatch(stderr, /secret/, 'a URL may hold a password');
  t.end();
});

void t.test('what is only found wrong when it is used is listed too', (t) => {
  const environment = {
    NATS_URL: 'nats://gateway:sec%ret@host',
    DATABASE_URL: 'postgres://gateway:secret@host:99999/increments',
    TRUST_PROXY: '1.2.3.4/99',
  };
  for (const service of ['gateway', 'counter']) {
    const { status, stderr } = spawnSync(process.execPath, [`${service}/main.ts`], {
      env: environment,
      encoding: 'utf8',
    });
    t.equal(status, 1);
    t.match(stderr, /^ {2}NATS_URL is not understood: .*% are written as .*%25/m);
    t.match(stderr, /^ {2}DATABASE_URL is not understood: .*a port is at most 65535/m);
    if (service === 'gateway')
      t.match(stderr, /^ {2}TRUST_PROXY is "1\.2\.3\.4\/99": .*10\.0\.0\.0\/8/m);
    t.notMatch(stderr, /sec%?ret|^ +at /m, 'no password and no stack');
  }
  const wrongPort = { ...environment, NATS_URL: 'nats://gateway:secret@host:99999' };
  t.throws(() => readGatewayConfig(wrongPort), /NATS_URL is not understood: .*65535/);
  t.end();
});

void t.test('TLS by a certificate and its key', async (t) => {
  const servers = await startServers(t);
  const [cert, key] = ['cert.pem', 'key.pem'].map((name) => join(servers.folder, name));
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const files = ['-keyout', key ?? '', '-out', cert ?? ''];
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', ...subject, ...files],
    {
      stdio: 'ignore',
    },
  );
  const gateway = await startGateway(t, servers, { TLS_CERT_FILE: cert, TLS_KEY_FILE: key });
  const url = gateway.url.replace('http:', 'https:');
  const status = await new Promise((resolve, reject) => {
    request(`${url}/livez`, { rejectUnauthorized: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    })
      .on('error', reject)
      .end();
  });
  t.equal(status, 200);
});

function createKey(name: string, secret: string, scopes: Scope[]) {
  return { name, sha256: createHash('sha256').update(secret).digest('hex'), scopes };
}

function write(file: string, content: ApiKeysFile): void {
  writeFileSync(file, JSON.stringify(content));
}
