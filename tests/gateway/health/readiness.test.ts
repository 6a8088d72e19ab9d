import { Agent } from 'node:http';
import { jetstreamManager } from '@nats-io/jetstream';
import t from 'tap';
import { connectToNats } from '../../../nats/connect.ts';
import { provision } from '../../../nats/provision.ts';
import { INCREMENTS } from '../../../nats/streams.ts';
import { makeKeys } from '../../support/counters.ts';
import { post, send } from '../../support/load.ts';
import { startServers } from '../../support/servers.ts';
import { startGateway } from '../../support/services.ts';
import { until } from '../../support/until.ts';

/** Longer than by default. */
const NOTICE_MS = 2_000;

void t.test('a gateway without its stream is not ready, and says so', async (t) => {
  const servers = await startServers(t);
  const connection = await connectToNats({
    url: servers.urls.nats.provisioner,
    role: 'provisioner',
  });
  t.teardown(() => connection.close());
  const manager = await jetstreamManager(connection, { checkAPI: false });
  const makeStream = () =>
    provision({ url: servers.urls.nats.provisioner, replicas: 1, flushIntervalMs: 9_000 });
  await manager.streams.delete(INCREMENTS);

  const gateway = await startGateway(t, servers, { PUBLISH_DEADLINE_MS: '500' });
  const readiness = () => send(`${gateway.url}/readyz`);
  const [key] = makeKeys(1);
  const increment = () => post(gateway.url, { key, value: 1 });

  const unready = await readiness();
  t.equal(unready.status, 503);
  t.match(JSON.parse(unready.body), {
    status: 'not ready',
    broker: 'connected',
    stream: 'away',
    database: 'connected',
  });
  t.equal((await send(`${gateway.url}/livez`)).status, 200, 'it lives all the same');
  const refused = await increment();
  t.equal(refused.status, 503);
  t.ok(refused.headers['retry-after']);
  t.match(JSON.parse(refused.body), { code: 'broker-unavailable', detail: /Nothing was stored/ });
  t.ok(gateway.log.some(({ level, msg }) => level === 40 && msg.includes('stream INCREMENTS')));

  await makeStream();
  const ready = await until('ready', readiness, ({ status }) => status === 200);
  t.match(JSON.parse(ready.body), { status: 'ready', stream: 'ready' });
  t.match(JSON.parse((await increment()).body), { sequence: 1 }, 'looking stores nothing');

  await manager.streams.delete(INCREMENTS);
  await until('not ready', readiness, ({ status }) => status === 503);
  await makeStream();
  await until('ready again', readiness, ({ status }) => status === 200);
  t.equal((await increment()).status, 200);
});

void t.test('a gateway that stops says so first, and still counts what comes', async (t) => {
  const servers = await startServers(t);
  const gateway = await startGateway(t, servers, {
    DRAIN_NOTICE_MS: String(NOTICE_MS),
    KEEP_ALIVE_TIMEOUT_MS: '7000',
  });
  const agent = new Agent({ keepAlive: true });
  const readiness = () => send(`${gateway.url}/readyz`, { agent });
  const before = await readiness();
  t.equal(before.status, 200);
  t.equal(before.headers['keep-alive'], 'timeout=7', 'as KEEP_ALIVE_TIMEOUT_MS says');

  const stopped = gateway.stop();
  const answer = await until('not ready', readiness, ({ status }) => status === 503);
  t.match(JSON.parse(answer.body), { status: 'stopping', stream: 'ready' });
  t.equal(answer.headers['connection'], 'close', 'so that its clients move elsewhere');
  const [key] = makeKeys(1);
  const noticedAt = performance.now();
  const increment = () =>
    post(gateway.url, { key, value: 1 }).then(
      ({ status }) => status,
      () => 0,
    );
  await until('connections are refused', increment, (status) => status !== 200);
  const takenMs = performance.now() - noticedAt;
  t.ok(takenMs > NOTICE_MS / 2, `as DRAIN_NOTICE_MS says: taken for ${Math.round(takenMs)} ms`);
  t.equal(await stopped, 0);
  agent.destroy();
});
