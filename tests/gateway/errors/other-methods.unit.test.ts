import { METHODS } from 'node:http';
import t from 'tap';
import { makeKeys } from '../../support/counters.ts';
import { buildTestGateway } from '../test-gateway.ts';

const [KEY = ''] = makeKeys(1);
const GET = 'GET, HEAD, OPTIONS';
const ALLOWED: Record<string, string> = {
  '/increment': 'OPTIONS, POST',
  '/increments': 'OPTIONS, POST',
  [`/increments/${KEY}`]: GET,
  '/counters': GET,
  [`/counters/${KEY}`]: 'DELETE, GET, HEAD, OPTIONS',
  '/livez': GET,
  '/readyz': GET,
  '/': GET,
  '/events': GET,
  '/console/console.js': GET,
  '/openapi.json': GET,
  '/docs/': GET,
};

void t.test(
  'a path answers 405 to a method that it does not have, and lists its own',
  async (t) => {
    const { send, stored } = await buildTestGateway(t);
    for (const [path, allow] of Object.entries(ALLOWED)) {
      const others = METHODS.filter(
        (each) => each !== 'CONNECT' && !allow.split(', ').includes(each),
      );
      for (const method of others) {
        // Whatever the body is, it is not looked at.
        const answer = await send(path, { method, body: '<x/>' });
        t.equal(answer.status, 405, `${method} ${path}`);
        t.equal(answer.headers['allow'], allow);
        t.match(answer.headers['content-type'], 'application/problem+json');
      }
      const options = await send(path, { method: 'OPTIONS' });
      t.match(options, { status: 204, headers: { allow }, body: '' }, `OPTIONS ${path}`);
    }
    t.equal((await send('/nothing', { method: 'PUT' })).status, 404, 'there is no such path');
    t.equal((await send('/nothing', { method: 'OPTIONS' })).status, 404);
    t.strictSame(stored, [], 'nothing was stored');
  },
);

void t.test('HEAD answers as GET does, without a body', async (t) => {
  const { send } = await buildTestGateway(t);
  for (const path of ['/', '/livez', '/readyz', '/openapi.json', '/console/console.css']) {
    const [head, get] = [await send(path, { method: 'HEAD' }), await send(path)];
    t.equal(head.status, get.status, path);
    t.equal(head.headers['content-type'], get.headers['content-type'], path);
    t.equal(head.body, '', path);
  }
  const events = await send('/events', { method: 'HEAD' });
  t.match(events, { status: 200, headers: { 'content-type': 'text/event-stream' } });
});
