import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import t, { type Test } from 'tap';
import { connectToNats, watchConnection } from '../../nats/connect.ts';
import { provision } from '../../nats/provision.ts';
import { createPublisher } from '../../nats/publisher.ts';
import { retryWhileLeaderless } from '../../nats/retry-while-leaderless.ts';
import { watchStream } from '../../nats/stream-watch.ts';
import { COUNTER, HTTP_SUBJECT, INCREMENTS } from '../../nats/streams.ts';
import { until } from '../support/until.ts';
import { startCluster, type Cluster } from './cluster-servers.ts';

await t.test('a cluster keeps what it acknowledged when the leader dies', async (t) => {
  const cluster = await start(t);
  await provision({ url: cluster.url('provisioner'), replicas: 3, flushIntervalMs: 9_000 });
  const inspector = await connectToNats({ url: cluster.url('inspector'), role: 'inspector' });
  const gateway = await connectToNats({ url: cluster.url('gateway'), role: 'gateway' });
  t.teardown(() => Promise.all([inspector.close(), gateway.close()]));
  const manager = await jetstreamManager(inspector, { checkAPI: false, timeout: 2_000 });
  const publisher = createPublisher(gateway, watchStream(gateway, watchConnection(gateway)));
  const publish = () =>
    publisher.publish(
      { subject: HTTP_SUBJECT, id: randomUUID(), body: '{}' },
      performance.now() + 10_000,
    );

  const stream = await manager.streams.info(INCREMENTS);
  t.equal(stream.config.num_replicas, 3, 'the stream has three replicas');
  t.equal(stream.cluster?.replicas?.length, 2, 'two of them follow the leader');
  const consumer = await manager.consumers.info(INCREMENTS, COUNTER);
  t.equal(consumer.cluster?.replicas?.length, 2, 'and so it is with the consumer');

  t.equal((await publish()).sequence, 1);
  const leader = stream.cluster?.leader ?? '';
  await cluster.kill(leader);

  t.equal((await publish()).sequence, 2, 'the two that are left take increments');
  const after = await until(
    'a new leader',
    () => manager.streams.info(INCREMENTS).catch(() => undefined),
    (info) => info !== undefined && info.cluster?.leader !== leader,
  );
  t.equal(after?.state.messages, 2, 'nothing is lost');

  await cluster.start(leader);
  await until(
    'three current replicas',
    () => manager.streams.info(INCREMENTS),
    ({ cluster }) =>
      cluster?.replicas?.every(({ current, offline }) => current && !offline) ?? false,
    30_000,
  );
  t.pass('the server that comes back catches up');
});

await t.test('streams are made as soon as all servers of a cluster are there', async (t) => {
  const cluster = await start(t);
  // Of a server that they have not seen yet, the others do not know that it runs.
  const [first = '', second = '', third = ''] = cluster.processes.map(({ name }) => name);
  for (const name of [first, second, third]) await cluster.kill(name);
  await Promise.all([cluster.start(first), cluster.start(second)]);
  const url = cluster.url('provisioner');
  const connection = await connectToNats({ url, role: 'provisioner' });
  t.teardown(() => connection.close());
  const manager = await jetstreamManager(connection, { checkAPI: false, timeout: 2_000 });
  const lookFor = retryWhileLeaderless(() => manager.streams.info(INCREMENTS));
  await t.rejects(lookFor, { code: 10059 }, 'the other two have a leader');
  const options = { url, replicas: 3, flushIntervalMs: 9_000 };
  const provisioned = provision(options).then(() => 'provisioned');
  t.equal(await Promise.race([provisioned, delay(1_000, 'waiting')]), 'waiting');
  await cluster.start(third);
  t.equal(await provisioned, 'provisioned');
});

await t.test('a cluster accepts no server without its password', async (t) => {
  const cluster = await start(t);
  const stranger = await cluster.startStranger();
  await until(
    'a server refuses it',
    () => readFileSync(cluster.logFile('nats-1'), 'utf8'),
    (log) => /authentication error/i.test(log),
  );
  t.equal(await stranger.routes(), 0);
});

async function start(t: Test): Promise<Cluster> {
  const folder = mkdtempSync(join(tmpdir(), 'increment-mesh-cluster-'));
  const cluster = await startCluster(folder);
  t.teardown(async () => {
    await cluster.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  return cluster;
}
