import type { IncomingHttpHeaders } from 'node:http';
import t from 'tap';
import {
  createForeignCheck,
  type ForeignPagesOptions,
} from '../../../gateway/auth/foreign-pages.ts';
import { makeKeys } from '../../support/counters.ts';
import { buildTestGateway } from '../test-gateway.ts';

const LOOPBACK: ForeignPagesOptions = {
  listeningHost: '127.0.0.1',
  allowedHosts: ['counters.example'],
  allowedOrigins: ['https://app.example'],
  hasOtherAddresses: false,
};
const OPEN = { ...LOOPBACK, listeningHost: '0.0.0.0', hasOtherAddresses: true };

const codeOf = (headers: IncomingHttpHeaders, options = LOOPBACK, method = 'POST') =>
  createForeignCheck(options)({ method, headers })?.code;

const OWN = [
  'localhost',
  'localhost:3000',
  'LOCALHOST:3000',
  'localhost.',
  '127.0.0.1:3000',
  '127.8.8.8',
  '[::1]:3000',
  'counters.example',
  'Counters.Example:8443',
];
/** An attacker's names, and what only looks like one of ours. */
const FOREIGN = [
  'evil.example',
  'evil.example:3000',
  'localhost.evil.example',
  'evil-localhost',
  '127.0.0.1.evil.example',
  'localhost@evil.example',
  'evil.example/localhost',
  'localhost:3000:3000',
  'localhost,evil.example',
  'sub.counters.example',
  'counters.example..',
  '2130706433',
  '0x7f.1',
  '127.1',
  '[::1',
  '',
  ' ',
];
const ADDRESSES = ['192.0.2.1', '192.0.2.1:3000', '[2001:db8::1]:3000', '0.0.0.0:3000'];

void t.test('without authentication a gateway answers to its own hosts only', (t) => {
  for (const host of OWN) {
    t.equal(codeOf({ host }), undefined, host);
    t.equal(codeOf({ host }, OPEN), undefined, `${host}, beyond loopback`);
  }
  for (const host of FOREIGN) {
    t.equal(codeOf({ host }), 'misdirected', host);
    t.equal(codeOf({ host }, OPEN), 'misdirected', `${host}, beyond loopback`);
  }
  for (const host of ADDRESSES) {
    t.equal(codeOf({ host }), 'misdirected', host);
    t.equal(codeOf({ host }, OPEN), undefined, `${host}, beyond loopback`);
  }
  const named = { ...LOOPBACK, listeningHost: 'gateway-1' };
  t.equal(codeOf({ host: 'gateway-1:3000' }, named), undefined, 'the name that it listens on');
  t.equal(codeOf({}), undefined, 'HTTP/1.0');
  const proxied = { host: 'evil.example', 'x-forwarded-host': 'localhost' };
  t.equal(codeOf(proxied), 'misdirected', 'a page can set every header but Host');
  t.end();
});

void t.test('pages of other sites may not call a gateway without authentication', (t) => {
  const host = 'localhost:3000';
  const own = { host, origin: 'http://localhost:3000' };
  t.equal(codeOf({ host }), undefined, 'no browser');
  t.equal(codeOf(own), undefined);
  t.equal(codeOf({ ...own, 'sec-fetch-site': 'same-origin' }), undefined);
  t.equal(codeOf({ host, 'sec-fetch-site': 'none' }), undefined, 'typed by a person');
  t.equal(codeOf({ host: 'localhost', origin: 'http://localhost' }), undefined);
  t.equal(codeOf({ host: 'localhost:443', origin: 'https://localhost' }), undefined);
  const stripped = { host: 'localhost', origin: 'http://localhost:8080' };
  t.equal(codeOf({ ...stripped, 'sec-fetch-site': 'same-origin' }), undefined, 'behind a proxy');
  const configured = { host, origin: 'https://counters.example:8443' };
  t.equal(codeOf(configured), undefined);
  t.equal(codeOf({ ...configured, 'sec-fetch-site': 'cross-site' }), undefined);

  const origins = [
    'https://evil.example',
    'http://localhost:8080',
    'https://localhost:3001',
    'http://127.0.0.1:3000',
    'http://localhost.evil.example:3000',
    'https://counters.example.evil',
    'null',
    'localhost:3000',
    '',
  ];
  for (const origin of origins) {
    for (const method of ['POST', 'GET', 'OPTIONS']) {
      t.equal(codeOf({ host, origin }, LOOPBACK, method), 'cross-origin', `${method} of ${origin}`);
    }
  }
  for (const site of ['cross-site', 'same-site', 'something-new']) {
    const headers = { host, 'sec-fetch-site': site };
    t.equal(codeOf(headers), 'cross-origin', site);
    t.equal(codeOf(headers, LOOPBACK, 'GET'), 'cross-origin', `an image from ${site}`);
    t.equal(codeOf({ ...own, 'sec-fetch-site': site }), 'cross-origin', `${site} goes before`);
    const link = { ...headers, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
    t.equal(codeOf(link, LOOPBACK, 'GET'), undefined, `a link from ${site}`);
    t.equal(codeOf(link), 'cross-origin', `a form from ${site}`);
    const frame = { ...link, 'sec-fetch-dest': 'iframe' };
    t.equal(codeOf(frame, LOOPBACK, 'GET'), 'cross-origin', `a frame in ${site}`);
  }
  t.end();
});

void t.test('no page makes another name of a gateway without authentication its own', async (t) => {
  const { app, send, post, stored } = await buildTestGateway(t);
  await app.ready();
  const [key = ''] = makeKeys(1);
  const body = { key, value: 1 };
  const rebound = { host: 'evil.example:3000' };
  const paths = ['/', '/events', `/counters/${key}`, `/counters?key=${key}`, '/docs', '/absent'];
  for (const path of [...paths, '/openapi.json', '/console/console.js']) {
    const answer = await send(path, { headers: rebound });
    t.equal(answer.status, 421, path);
    t.match(answer.headers['content-type'], 'application/problem+json');
    t.match(JSON.parse(answer.body), {
      code: 'misdirected',
      detail: /"evil\.example:3000".*ALLOWED_HOSTS/,
    });
  }
  for (const headers of [
    rebound,
    { origin: 'https://evil.example' },
    { 'sec-fetch-site': 'cross-site' },
  ]) {
    for (const path of ['/increment', '/increments']) {
      const { status } = await post(path, path === '/increment' ? body : [body], headers);
      t.equal(status, 'host' in headers ? 421 : 403, `${path} with ${JSON.stringify(headers)}`);
    }
  }
  const foreign = await post('/increment', body, { origin: 'https://evil.example' });
  t.match(JSON.parse(foreign.body), { code: 'cross-origin', detail: /"https:\/\/evil\.example"/ });
  t.strictSame(stored, [], 'nothing was stored');
  for (const path of ['/livez', '/readyz']) {
    t.equal((await send(path, { headers: { host: '192.0.2.1:3000' } })).status, 200, 'probes');
  }
  t.equal((await post('/increment', body, { host: 'localhost:3000' })).status, 200);
});
