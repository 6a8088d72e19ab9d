import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import t, { type Test } from 'tap';
import { connectToNats } from '../../nats/connect.ts';
import { retryWhileLeaderless } from '../../nats/retry-while-leaderless.ts';
import { provision } from '../../nats/provision.ts';
import { isCurrent } from '../../nats/replica-state.ts';
import {
  lookAtReplicas,
  readReplicas,
  setReplicas,
  untilReplicasCurrent,
} from '../../nats/replicas.ts';
import { INCREMENTS } from '../../nats/streams.ts';
import { until } from '../support/until.ts';
import { startCluster, type Cluster } from './cluster-servers.ts';

await t.test('replicas are waited for, by whoever asks', async (t) => {
  const { cluster, manager } = await start(t);
  const url = cluster.url('provisioner');
  const ask = () => manager.streams.info(INCREMENTS);

  await t.test('what lasts is said at once', async (t) => {
    await t.rejects(untilReplicasCurrent(manager, { timeoutMs: 60_000 }), /stream not found/);
  });

  await provision({ url, replicas: 1, flushIntervalMs: 9_000 });
  // A step that was ended before all was copied has begun this and waited for nothing.
  await setReplicas(manager, 3);
  await untilReplicasCurrent(manager, { timeoutMs: 30_000 });
  const { cluster: group } = await ask();
  const leader = group?.leader ?? '';
  const [follower = '', other = ''] = group?.replicas?.map(({ name }) => name) ?? [];
  await cluster.kill(follower);
  await until(
    'all three lack it',
    () => retryWhileLeaderless(() => readReplicas(manager)),
    (replicas) => !replicas.some(isCurrent),
  );

  await t.test('the time is bounded, and the error says who lags and what to do', async (t) => {
    await t.rejects(untilReplicasCurrent(manager, { timeoutMs: 500 }), {
      name: 'ReplicasBehind',
      message: new RegExp(
        `INCREMENTS 2 of 3 \\(${follower} is away\\).*check that these servers run`,
      ),
    });
  });

  await t.test('one that is away is not awaited for ever where the others have all', async (t) => {
    const found = await untilReplicasCurrent(manager, { timeoutMs: 60_000, awayMs: 500 });
    for (const { of, current, behind } of found) {
      t.equal(current, 2, of);
      t.strictSame(behind, [{ name: follower, isAway: true }], 'and it is named');
    }
  });

  await t.test('the next provision waits, though it has nothing to change', async (t) => {
    let awaited: string[] = [];
    let isDone = false;
    const provisioned = provision({
      url,
      replicas: 3,
      flushIntervalMs: 9_000,
      onWait: (replicas) =>
        (awaited = replicas.filter((one) => !isCurrent(one)).map(({ of }) => of)),
    }).then(() => (isDone = true));
    await until(
      'it waits for them',
      () => awaited,
      ({ length }) => length === 3,
    );
    t.notOk(isDone);
    await cluster.start(follower);
    await provisioned;
    for (const { of, current } of await lookAtReplicas(manager)) t.equal(current, 3, of);
  });

  await t.test('a leader is waited for', async (t) => {
    await Promise.all([cluster.kill(leader), cluster.kill(other)]);
    await t.rejects(retryWhileLeaderless(ask, 2_000), {
      name: 'NoLeader',
      message:
        /no broker has answered for the streams in 2 s \(.+\): .* two of the three of a cluster/,
    });
    const answered = retryWhileLeaderless(ask);
    await cluster.start(leader);
    t.equal((await answered).config.num_replicas, 3);
  });
});

async function start(t: Test): Promise<{ cluster: Cluster; manager: JetStreamManager }> {
  const folder = mkdtempSync(join(tmpdir(), 'increment-mesh-replicas-'));
  const cluster = await startCluster(folder);
  const url = cluster.url('provisioner');
  const connection = await connectToNats({ url, role: 'provisioner' });
  t.teardown(async () => {
    await connection.close();
    await cluster.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    cluster,
    manager: await jetstreamManager(connection, { checkAPI: false, timeout: 1_000 }),
  };
}
