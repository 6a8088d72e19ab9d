/* Ready means that the stream stores: whatever keeps it from that is noticed without traffic, and its end too. */
import { jetstreamManager, type StreamConfig } from '@nats-io/jetstream';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { auditBooks } from '../../../counter/maintenance/audit.ts';
import { readStreamState } from '../../../counter/settle/stream-state.ts';
import { connectToNats } from '../../../nats/connect.ts';
import { provision } from '../../../nats/provision.ts';
import { INCREMENTS } from '../../../nats/streams.ts';
import { makeKeys } from '../../support/counters.ts';
import { freeze } from '../../support/freeze.ts';
import { post, send } from '../../support/load.ts';
import { startServers, type Servers } from '../../support/servers.ts';
import { startCounter, startGateway, type Service } from '../../support/services.ts';
import { until } from '../../support/until.ts';

/** A probe after five seconds and up to one more, and what a failure takes to be one. */
const NOTICED_MS_MAX = 12_000;

async function openManager(t: Test, servers: Servers) {
  const url = servers.urls.nats.provisioner;
  const connection = await connectToNats({ url, role: 'provisioner' });
  t.teardown(() => connection.close());
  return jetstreamManager(connection, { checkAPI: false });
}

const readyz = async (gateway: Service) => {
  const { status, body } = await send(`${gateway.url}/readyz`);
  return { status, ...(JSON.parse(body) as object) } as { status: number; reason: string | null };
};
const untilStatus = (gateway: Service, status: number) =>
  until(
    `/readyz ${status}`,
    async () => JSON.parse((await send(`${gateway.url}/readyz`)).body) as Record<string, unknown>,
    ({ status: text }) => (text === 'ready') === (status === 200),
    NOTICED_MS_MAX,
  );
const linesOf = (gateway: Service, pattern: RegExp) =>
  gateway.log.filter(({ level, msg }) => level >= 40 && pattern.test(msg));

void t.test('a frozen broker makes an idle gateway unready, until it goes on', async (t) => {
  const servers = await startServers(t);
  const gateway = await startGateway(t, servers);
  t.match(await untilStatus(gateway, 200), { reason: null });
  await freeze(servers.nats);
  t.teardown(() => servers.nats.kill('SIGCONT'));
  t.match(await untilStatus(gateway, 503), {
    broker: 'silent',
    stream: 'silent',
    reason: /the broker does not answer: see whether nats-server is frozen/,
  });
  await delay(1_000);
  t.equal(linesOf(gateway, /the broker does not answer/).length, 1, 'one line');
  servers.nats.kill('SIGCONT');
  await untilStatus(gateway, 200);
});

void t.test(
  'settings by which the stream stores nothing make an idle gateway unready',
  async (t) => {
    const servers = await startServers(t);
    const manager = await openManager(t, servers);
    const gateway = await startGateway(t, servers, { PUBLISH_DEADLINE_MS: '500' });
    const increment = () => post(gateway.url, { key: makeKeys(1)[0], value: 1 });
    t.equal((await increment()).status, 200);
    const change = async (settings: Partial<StreamConfig>) => {
      const { config } = await manager.streams.info(INCREMENTS);
      await manager.streams.update(INCREMENTS, { ...config, ...settings });
    };

    const { config } = await manager.streams.info(INCREMENTS);
    await change({ max_msgs: 1 });
    t.match(await untilStatus(gateway, 503), {
      stream: 'full',
      reason: /is full: maximum messages/,
    });
    t.match(JSON.parse((await increment()).body), { code: 'stream-full' });
    await change({ max_msgs: -1 });
    await untilStatus(gateway, 200);

    await change({ no_ack: true });
    t.match(await untilStatus(gateway, 503), {
      broker: 'connected',
      stream: 'silent',
      reason: /acknowledges nothing.* whether it has no_ack/,
    });
    await change({ no_ack: false });
    await untilStatus(gateway, 200);

    await change({ sealed: true });
    t.match(await untilStatus(gateway, 503), {
      stream: 'refused',
      reason: /refuses messages: .*sealed/,
    });
    const refused = await increment();
    t.equal(refused.status, 503);
    t.match(JSON.parse(refused.body), { code: 'stream-refused', detail: /Nothing was stored/ });
    t.equal(linesOf(gateway, /refuses messages/).length, 1, 'one line');
    await manager.streams.delete(INCREMENTS);
    await provision({ url: servers.urls.nats.provisioner, replicas: 1, flushIntervalMs: 9_000 });
    await untilStatus(gateway, 200);
    t.equal((await increment()).status, 200);
    t.same((await manager.streams.info(INCREMENTS)).config.subjects, config.subjects);
    t.match(await readyz(gateway), { reason: null });
  },
);

void t.test('what is stored to see that the stream stores adds nothing', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: 300 });
  const gateways = await Promise.all([1, 2, 3].map(() => startGateway(t, servers)));
  const counter = await startCounter(t, servers, { FLUSH_INTERVAL_MS: '300' });
  const inspect = () => servers.inspect();
  const isSettled = ({ messages, lastSequence }: { messages: number; lastSequence: number }) =>
    lastSequence > 0 && messages === 0;
  await until('a message that was stored and settled', inspect, isSettled);
  const startedAt = performance.now();
  const { lastSequence: before } = await inspect();
  await delay(11_000);
  const { lastSequence: after } = await inspect();
  const seconds = (performance.now() - startedAt) / 1000;
  t.ok(after > before, 'it goes on');
  // Two gateways that find each other late may both store one.
  t.ok(after - before <= Math.ceil(seconds / 5) + 2, `${after - before} of three in ${seconds} s`);

  const manager = await openManager(t, servers);
  const audit = await auditBooks(servers.database, () => readStreamState(manager));
  t.match(audit, { isBalanced: true, counted: '0', booked: '0' });
  t.same(await servers.database.selectFrom('increments').selectAll().execute(), []);
  t.same(await servers.database.selectFrom('dead_letters').selectAll().execute(), []);
  t.equal(counter.log.filter(({ level }) => level >= 40).length, 0);
  for (const gateway of gateways) t.match(await readyz(gateway), { status: 'ready' });
});
