import { randomUUID } from 'node:crypto';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import t from 'tap';
import { changeNodeCount } from '../../mesh/local/change-node-count.ts';
import { readMeshSettings } from '../../mesh/local/config.ts';
import { openDataFolder } from '../../mesh/local/data-folder.ts';
import { natsPortNames, natsServers } from '../../mesh/local/nats-servers.ts';
import { supervise, type Program } from '../../mesh/local/supervisor.ts';
import { rememberPorts } from '../../mesh/servers/ports.ts';
import { connectToNats, type NatsRole } from '../../nats/connect.ts';
import { INCREMENTS, INCREMENTS_DEAD, REPLAY_SUBJECT } from '../../nats/streams.ts';
import { isThere, until } from '../support/until.ts';
import {
  increment,
  launchMesh,
  makeDataDir,
  processesOf,
  startMesh,
  stopMesh,
  total,
  type MeshProcess,
} from '../mesh/mesh-process.ts';

// What one nats-server stored is deleted by a cluster that opens it, and the other way round.

const SMALL = { COUNTERS: '1', GATEWAYS: '1' };
const FAST = { ...SMALL, FLUSH_INTERVAL_MS: '500' };

// They wait more than they compute.
t.jobs = 2;

void t.test('the number of brokers changes only while their streams are empty', async (t) => {
  const path = makeDataDir(t);
  const { signal } = new AbortController();
  const said: string[] = [];
  const say = (line: string) => void said.push(line);
  const dataFolder = await openDataFolder(path, { say, signal });
  t.teardown(async () => dataFolder.release());
  const contextOf = (nodes: 1 | 3) => {
    const settings = readMeshSettings({ DATA_DIR: path, NATS_NODES: String(nodes) });
    return { settings, dataFolder, signal, say, runAs: () => Promise.resolve(undefined) };
  };
  const change = (nodes: 1 | 3) => changeNodeCount(contextOf(nodes), withPrograms);
  const onBrokers = async <Answer>(
    nodes: 1 | 3,
    use: (urls: Record<NatsRole, string>) => Promise<Answer>,
  ) => {
    const ports = await rememberPorts(dataFolder.ports, natsPortNames(nodes));
    const brokers = await natsServers(contextOf(nodes), ports);
    return withPrograms(brokers.programs, async () => {
      await brokers.provision();
      return use(brokers.urls);
    });
  };

  await change(1);
  t.strictSame(said, [], 'a new folder has nothing to lose');
  await onBrokers(1, ({ provisioner }) => store(provisioner, 'provisioner', REPLAY_SUBJECT));
  await t.rejects(change(3), {
    name: 'StartError',
    message:
      /can't change yet: the standalone broker .* has uncounted messages \(1\)\. .*NATS_NODES=1 npm start/,
  });
  t.equal(
    await onBrokers(1, ({ provisioner }) => purge(provisioner, INCREMENTS)),
    1,
    'still there',
  );
  await change(3);
  t.match(said.at(-1), 'they are empty: NATS_NODES is 3 from now on');

  await onBrokers(3, ({ counter }) => store(counter, 'counter', `dead.${REPLAY_SUBJECT}`));
  await t.rejects(change(1), {
    name: 'StartError',
    message:
      /can't change yet: the cluster broker .* has dead letters \(1\)\. .*NATS_NODES=3 npm start/,
  });
  const dead = await onBrokers(3, ({ provisioner }) => purge(provisioner, INCREMENTS_DEAD));
  t.equal(dead, 1, 'still there');
  await change(1);
  t.match(said.at(-1), 'they are empty: NATS_NODES is 1 from now on');
});

void t.test('a mesh that is started with another number of brokers', async (t) => {
  const dataDir = makeDataDir(t);
  const key = randomUUID();
  const counted = async (mesh: MeshProcess, value: string) =>
    until(`a total of ${value}`, async () => (await total(mesh, key)) === value);
  const start = (nodes: 1 | 3, environment: NodeJS.ProcessEnv = FAST) =>
    startMesh({ dataDir, environment: { ...environment, NATS_NODES: String(nodes) } });

  await t.test('refuses while a message is not counted', async (t) => {
    // So long a flush that the increment is only in the stream when all is killed.
    const mesh = await start(1, SMALL);
    t.equal(await increment(mesh, key, 5), 200);
    process.kill(-mesh.child.pid!, 'SIGKILL');
    for (const { pid } of mesh.describe().counters) process.kill(pid, 'SIGKILL');
    await mesh.exited;

    const refused = await launchMesh({ dataDir, environment: { NATS_NODES: '3' } });
    const isDecided = () =>
      refused.child.exitCode !== null || refused.output().includes('is ready');
    await until('a refusal', isDecided, isThere, 60_000);
    t.equal(refused.child.exitCode, 1);
    if (refused.child.exitCode === null) await stop(refused);
    t.strictSame(processesOf(dataDir), [], 'no process is left');
    const lines = refused.output().trimEnd().split('\n');
    t.match(lines.at(-2), /checking that the streams of the standalone broker are empty/);
    t.match(lines.at(-1), /can't change yet: .* has uncounted messages \(1\)/);
  });

  await t.test('starts as before, and has the message', async () => {
    const mesh = await start(1);
    await counted(mesh, '5');
    await stop(mesh);
  });

  await t.test('then starts with three, and goes on counting', async (t) => {
    const mesh = await start(3);
    t.match(mesh.output(), /they are empty: NATS_NODES is 3 from now on/);
    t.equal(mesh.describe().nats.length, 3);
    t.equal(await increment(mesh, key, 7), 200);
    await counted(mesh, '12');
    await stop(mesh);
  });

  await t.test('leaves nothing running after a Ctrl-C while it looks', async (t) => {
    const mesh = await launchMesh({ dataDir, environment: { NATS_NODES: '1' } });
    t.teardown(() => stopMesh(mesh));
    await until('three brokers', () => processesOf(dataDir).filter(isBroker).length === 3);
    process.kill(-mesh.child.pid!, 'SIGINT');
    await mesh.exited;
    t.match(mesh.output(), /mesh .*stopped/);
    t.strictSame(processesOf(dataDir), []);
  });
});

async function withPrograms<Answer>(
  programs: Program[],
  use: () => Promise<Answer>,
): Promise<Answer> {
  const silent = { say: () => undefined, beforeRun: () => undefined, onLaunch: () => undefined };
  const running = programs.map((program) => supervise(program, silent));
  try {
    await Promise.all(running.map(({ ready }) => ready));
    return await use();
  } finally {
    await Promise.all(running.map((one) => one.stop()));
  }
}

async function store(url: string, role: NatsRole, subject: string): Promise<void> {
  const connection = await connectToNats({ url, role });
  await jetstream(connection).publish(subject, 'a message');
  await connection.close();
}

/** Returns how many messages it has removed. */
async function purge(url: string, stream: string): Promise<number> {
  const connection = await connectToNats({ url, role: 'provisioner' });
  const manager = await jetstreamManager(connection, { checkAPI: false });
  const { purged } = await manager.streams.purge(stream);
  await connection.close();
  return purged;
}

function isBroker(command: string): boolean {
  return /nats-server.* -c .*\.conf\b/.test(command) && !command.startsWith('/bin/sh');
}

async function stop(mesh: MeshProcess): Promise<void> {
  mesh.child.kill('SIGTERM');
  await mesh.exited;
}
