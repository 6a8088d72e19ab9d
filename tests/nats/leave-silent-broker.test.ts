import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import t, { type Test } from 'tap';
import { HEARTBEAT_SUBJECT, openChannel } from '../../nats/channel.ts';
import { connectToNats, watchConnection } from '../../nats/connect.ts';
import { leaveSilentBroker } from '../../nats/leave-silent-broker.ts';
import { provision } from '../../nats/provision.ts';
import { COUNTER, INCREMENTS } from '../../nats/streams.ts';
import { openDatabase } from '../../schema/database/database.ts';
import { withDatabaseUser } from '../../schema/database/database-url.ts';
import { makeKeys, readCounter, untilCounted } from '../support/counters.ts';
import { freeze } from '../support/freeze.ts';
import { post } from '../support/load.ts';
import { PASSWORDS } from '../support/passwords.ts';
import { startCounter, startGateway, type LogLine } from '../support/services.ts';
import { createDatabase } from '../support/shared-postgres.ts';
import { until } from '../support/until.ts';
import { startCluster, type Cluster } from './cluster-servers.ts';

/** Three seconds of silence, the looks before and after, and the new connection. */
const MOVED_MS_MAX = 6_000;
/** Another broker is there; to try the frozen one first would take two seconds. */
const CONNECTED_MS_MAX = 1_000;
/** What is accepted is counted by then, whatever happens to one of three brokers. */
const COUNTED_MS_MAX = 10_000;
const POST_MS = 10;
const MIB = 1024 * 1024;
/** More than the buffers of a connection take. */
const BUFFERS_BYTES_MAX = 32 * MIB;
const LEAVES = /^the broker .* says nothing for 3 s: connecting to another one/;

await t.test('services leave a frozen broker of a cluster for another one', async (t) => {
  const { cluster, index, urls, database } = await startOnFollower(t);
  const broker = brokerOf(cluster, index);
  const [gateway, counter] = await Promise.all([
    startGateway(t, { urls }),
    startCounter(t, { urls }, { FLUSH_INTERVAL_MS: '500' }),
  ]);
  const [key = ''] = makeKeys(1);
  const ending = new AbortController();
  const posting = keepPosting(gateway.url, key, ending.signal);
  const readCount = async () => Number(await readCounter(database, key));
  const untilMore = async (what: string, deadlineMs?: number) => {
    const { accepted } = posting;
    await until(what, readCount, (count) => count > accepted, deadlineMs);
  };
  await untilMore('increments that count');

  await freeze(broker);
  await until('a gateway and a counter service that move', () =>
    [gateway, counter].every(({ log }) => findMove(log) !== undefined),
  );
  await untilMore('what is accepted afterwards counts', COUNTED_MS_MAX);
  ending.abort();
  await posting.ended;
  t.strictSame([...posting.statuses], [200], 'nobody noticed');
  t.ok(posting.longestMs < MOVED_MS_MAX, `${posting.longestMs} ms without an increment`);
  for (const { log } of [gateway, counter]) {
    const tookMs = findMove(log)!;
    t.ok(tookMs < CONNECTED_MS_MAX, `connected again after ${tookMs} ms`);
    t.equal(log.filter(({ msg }) => LEAVES.test(msg)).length, 1, 'one line');
  }
  await untilCounted(database, key, posting.accepted);
  await Promise.all([gateway.stop(), counter.stop()]);
  broker.kill('SIGCONT');

  await t.test('whatever was sent to it that it has not read', async (t) => {
    const url = cluster.url('gateway');
    const connection = await connectToNats({ url, role: 'gateway' });
    t.teardown(() => connection.close());
    const watch = watchConnection(connection);
    const lines: string[] = [];
    leaveSilentBroker(connection, watch, (line) => lines.push(line));
    const server = connection.getServer();
    const frozen = brokerOf(
      cluster,
      url.split(',').findIndex((one) => one.endsWith(server)),
    );
    t.teardown(() => frozen.kill('SIGCONT'));
    await freeze(frozen);
    const channel = openChannel(connection, HEARTBEAT_SUBJECT);
    for (let sent = 0; sent < BUFFERS_BYTES_MAX; sent += MIB) {
      channel.publish('gateway', 'x'.repeat(MIB));
    }
    await until('another broker', () => connection.getServer() !== server && watch.isConnected);
    await connection.flush();
    t.equal(lines.length, 1);
  });
});

/** From the line that says so to the one that it is done, in milliseconds. */
function findMove(log: LogLine[]): number | undefined {
  const left = log.find(({ msg }) => LEAVES.test(msg));
  const back = log.find(({ msg }) => msg === 'the broker is back');
  if (left === undefined || back === undefined) return undefined;
  return Date.parse(String(back['time'])) - Date.parse(String(left['time']));
}

/** One increment after the other. */
function keepPosting(url: string, key: string, signal: AbortSignal) {
  const found = {
    accepted: 0,
    statuses: new Set<number>(),
    /** The longest time that nothing was accepted. */
    longestMs: 0,
    ended: keepOn(),
  };
  async function keepOn(): Promise<void> {
    await delay(0);
    let acceptedAt = performance.now();
    while (!signal.aborted) {
      const { status } = await post(url, { key, value: 1 });
      found.statuses.add(status);
      if (status === 200) {
        found.accepted++;
        found.longestMs = Math.max(found.longestMs, performance.now() - acceptedAt);
        acceptedAt = performance.now();
      }
      await delay(POST_MS);
    }
  }
  return found;
}

/** Services that know one broker, which leads neither the stream nor its consumer; they hear of the others from it. */
async function startOnFollower(t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'increment-mesh-cluster-'));
  const cluster = await startCluster(folder);
  t.teardown(async () => {
    await cluster.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  await provision({ url: cluster.url('provisioner'), replicas: 3, flushIntervalMs: 1_000 });
  const inspector = await connectToNats({ url: cluster.url('inspector'), role: 'inspector' });
  const manager = await jetstreamManager(inspector, { checkAPI: false });
  const { cluster: group } = await manager.streams.info(INCREMENTS);
  const consumer = await manager.consumers.info(INCREMENTS, COUNTER);
  const leaders = [group?.leader, consumer.cluster?.leader];
  await inspector.close();
  const index = cluster.processes.findIndex(({ name }) => !leaders.includes(name));
  const urlOf = (role: 'gateway' | 'counter') => cluster.url(role).split(',')[index]!;
  t.teardown(() => brokerOf(cluster, index).kill('SIGCONT'));

  const store = await createDatabase();
  const database = openDatabase(store.url, {
    name: 'test',
    connectionsMax: 2,
    queryTimeoutMs: 30_000,
    onBrokenConnection: () => undefined,
  });
  t.teardown(async () => {
    await database.destroy();
    await store.drop();
  });
  return {
    database,
    cluster,
    index,
    urls: {
      nats: { gateway: urlOf('gateway'), counter: urlOf('counter') },
      gatewayDatabase: withDatabaseUser(store.url, 'mesh_gateway', PASSWORDS.gateway),
      counterDatabase: withDatabaseUser(store.url, 'mesh_counter', PASSWORDS.counter),
    },
  };
}

function brokerOf(cluster: Cluster, index: number) {
  const { pid } = cluster.processes[index]!;
  return { pid, kill: (signal: NodeJS.Signals) => void process.kill(pid, signal) };
}
