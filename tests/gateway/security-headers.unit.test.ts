import t from 'tap';
import { securityHeaders } from '../../gateway/security-headers.ts';
import { makeKeys } from '../support/counters.ts';
import { buildTestGateway } from './test-gateway.ts';

void t.test('every answer tells browsers not to guess, keep or pass on what it is', async (t) => {
  const { app, send, post } = await buildTestGateway(t);
  await app.ready();
  const [key = ''] = makeKeys(1);
  const answers = {
    increment: await post('/increment', { key, value: 1 }),
    refused: await post('/increment', {}),
    'a batch': await post('/increments', [{ key, value: 1 }]),
    read: await send(`/counters/${key}`),
    health: await send('/readyz'),
    'no route': await send('/absent'),
    'no URL': await send('/%zz'),
    'another host': await send('/', { headers: { host: 'evil.example' } }),
    document: await send('/openapi.json'),
  };
  for (const [name, { headers }] of Object.entries(answers)) {
    t.match(
      headers,
      {
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cache-control': 'no-store',
      },
      name,
    );
    t.equal(headers['strict-transport-security'], undefined, 'only with TLS');
  }
  for (const path of ['/', '/console/console.js', '/docs/static/swagger-ui.css']) {
    const { status, headers } = await send(path);
    t.equal(status, 200, path);
    t.equal(headers['x-content-type-options'], 'nosniff');
    t.notMatch(headers['cache-control'], 'no-store', 'files of a page may be kept');
    if (path !== '/docs/static/swagger-ui.css') t.match(headers['content-security-policy'], 'none');
  }
  t.equal(securityHeaders(true)['strict-transport-security'], 'max-age=31536000');
});
