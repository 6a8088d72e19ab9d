import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { makeKeys } from '../support/counters.ts';
import { freeze } from '../support/freeze.ts';
import { post } from '../support/load.ts';
import { startServers } from '../support/servers.ts';
import { startGateway } from '../support/services.ts';

const PATH = '/docs/static/swagger-ui-bundle.js';
/** Far more than the buffers of a connection hold. */
const ANSWERS = 40;
const SILENCE_MS = 75_000;

void t.test('who does not read is cut off, and who waits or watches is not', async (t) => {
  const servers = await startServers(t);
  const gateway = await startGateway(t, servers, { PUBLISH_DEADLINE_MS: '30000' });
  const port = Number(new URL(gateway.url).port);
  const ask = (request: string) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(request));
    t.teardown(() => socket.destroy());
    return socket.on('error', () => undefined);
  };
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`;
  const slow = ask(get(PATH).repeat(ANSWERS)).pause();
  const idle = ask(get('/livez')).resume();
  const idleClosed = once(idle, 'close');
  const watcher = ask(get('/events'));
  let heardAt = 0;
  watcher.on('data', () => (heardAt = performance.now()));
  await freeze(servers.nats);
  const waiting = post(gateway.url, { key: makeKeys(1)[0], value: 1 });

  t.equal((await waiting).status, 503, 'an increment waits for its whole time');
  servers.nats.kill('SIGCONT');
  await delay(SILENCE_MS - 30_000);
  t.ok(performance.now() - heardAt < 5_000, 'a console goes on');

  let answers = 0;
  slow.on('data', (chunk: Buffer) => (answers += chunk.includes('HTTP/1.1 200') ? 1 : 0));
  const closed = once(slow, 'close', { signal: AbortSignal.timeout(10_000) });
  slow.resume();
  await t.resolves(closed, 'the connection is gone');
  t.ok(answers < ANSWERS, `${answers} answers were sent before`);
  await t.resolves(idleClosed, 'an idle connection ends too');
});
