import t from 'tap';
import { readCorsOrigins, readGatewayConfig } from '../../../gateway/config.ts';
import { makeKeys } from '../../support/counters.ts';
import { problemsOf } from '../../schema/settings/problems-of.ts';
import { buildTestGateway } from '../test-gateway.ts';

const PAGE = 'https://app.example';
const HOSTS = { listeningHost: '127.0.0.1', allowedHosts: [], hasOtherAddresses: false };
const PREFLIGHT = {
  'access-control-request-method': 'POST',
  'access-control-request-headers': 'content-type,idempotency-key',
  'sec-fetch-site': 'cross-site',
  'sec-fetch-mode': 'cors',
};
const NEEDED = { NATS_URL: 'nats://x', DATABASE_URL: 'postgres://x' };

void t.test('pages of the origins in CORS_ORIGINS may call, and no others', async (t) => {
  const hosts = { ...HOSTS, allowedOrigins: [PAGE] };
  const { send, post, stored } = await buildTestGateway(t, { hosts, corsOrigins: [PAGE] });
  const [key = ''] = makeKeys(1);
  const body = { key, value: 1 };
  const from = (origin: string) => ({ origin, 'sec-fetch-site': 'cross-site' });

  const preflight = (origin: string) =>
    send('/increment', { method: 'OPTIONS', headers: { origin, ...PREFLIGHT } });
  const asked = await preflight(PAGE);
  t.equal(asked.status, 204);
  t.match(asked.headers, {
    'access-control-allow-origin': PAGE,
    'access-control-allow-methods': /POST.*DELETE/,
    'access-control-allow-headers': /authorization.*content-type.*idempotency-key/,
    'access-control-max-age': /^\d+$/,
    vary: /origin/i,
  });
  t.equal(asked.headers['access-control-allow-credentials'], undefined, 'no cookies');

  const accepted = await post('/increment', body, from(PAGE));
  t.equal(accepted.status, 200);
  t.equal(accepted.headers['access-control-allow-origin'], PAGE);
  t.match(accepted.headers['access-control-expose-headers'], /retry-after.*x-request-id/);
  const refused = await post('/increment', {}, from(PAGE));
  t.equal(refused.status, 400);
  t.equal(refused.headers['access-control-allow-origin'], PAGE, 'a page can read why');

  for (const origin of ['https://evil.example', 'http://app.example', `${PAGE}:8443`, 'null']) {
    for (const answer of [await preflight(origin), await post('/increment', body, from(origin))]) {
      t.equal(answer.status, 403, origin);
      t.equal(answer.headers['access-control-allow-origin'], undefined, origin);
    }
  }
  const rebound = await post('/increment', body, { ...from(PAGE), host: 'evil.example' });
  t.equal(rebound.status, 421, 'the Host must still be a name of the gateway');
  t.equal(stored.length, 1);
});

void t.test('without CORS_ORIGINS no page of another origin may', async (t) => {
  const { send } = await buildTestGateway(t);
  const { status, headers } = await send('/increment', {
    method: 'OPTIONS',
    headers: { origin: PAGE, ...PREFLIGHT },
  });
  t.equal(status, 403);
  t.notMatch(Object.keys(headers).join(' '), 'access-control');
});

void t.test('CORS_ORIGINS takes origins as browsers write them', (t) => {
  const read = (list: string) =>
    readCorsOrigins(readGatewayConfig({ ...NEEDED, CORS_ORIGINS: list }));
  t.strictSame(read('https://App.example , http://localhost:8080'), [
    PAGE,
    'http://localhost:8080',
  ]);
  t.strictSame(readCorsOrigins(readGatewayConfig(NEEDED)), []);
  for (const list of [
    '*',
    'null',
    'app.example',
    `${PAGE}/`,
    `${PAGE}/x`,
    `${PAGE}:443`,
    'ftp://a',
  ]) {
    t.match(
      problemsOf(() => read(list)),
      [/^CORS_ORIGINS is ".*it must be a list like https:/],
      list,
    );
  }
  t.end();
});
