import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import t from 'tap';
import { natsUrlOf } from '../../../mesh/local/mesh-file.ts';
import { connectToNats } from '../../../nats/connect.ts';
import { INCREMENTS_DEAD, REPLAY_SUBJECT } from '../../../nats/streams.ts';
import { runCommand } from '../cli/run-command.ts';
import {
  increment,
  launchMesh,
  makeDataDir,
  processesOf,
  startMesh,
  total,
  type MeshProcess,
} from '../mesh-process.ts';
import { isThere, until } from '../../support/until.ts';

// What one nats-server stored is deleted by a cluster that opens it, and the other way round.

const SMALL = { COUNTERS: '1', GATEWAYS: '1' };
const FAST = { ...SMALL, FLUSH_INTERVAL_MS: '500' };

await t.test(
  'a data folder changes its number of brokers only while its streams are empty',
  async (t) => {
    const dataDir = makeDataDir(t);
    const key = randomUUID();
    const counted = async (mesh: MeshProcess, value: string) =>
      until(`a total of ${value}`, async () => (await total(mesh, key)) === value);
    const start = (nodes: 1 | 3, environment: NodeJS.ProcessEnv = FAST) =>
      startMesh({ dataDir, environment: { ...environment, NATS_NODES: String(nodes) } });
    const refusal = async (nodes: 1 | 3) => {
      const mesh = await launchMesh({ dataDir, environment: { NATS_NODES: String(nodes) } });
      const isDecided = () => mesh.child.exitCode !== null || mesh.output().includes('is ready');
      await until('a refusal', isDecided, isThere, 60_000);
      t.equal(mesh.child.exitCode, 1);
      if (mesh.child.exitCode === null) await stop(mesh);
      t.strictSame(processesOf(dataDir), [], 'no process is left');
      const lines = mesh.output().trimEnd().split('\n');
      t.match(
        lines.at(-2),
        /checking that the streams of the (standalone|cluster) broker are empty/,
      );
      return lines.at(-1);
    };

    await t.test('one refuses to be three while a message is not counted', async (t) => {
      // So long a flush that the increment is only in the stream when all is killed.
      const mesh = await start(1, SMALL);
      t.equal(await increment(mesh, key, 5), 200);
      process.kill(-mesh.child.pid!, 'SIGKILL');
      for (const { pid } of mesh.describe().counters) process.kill(pid, 'SIGKILL');
      await mesh.exited;
      t.match(
        await refusal(3),
        /can't change yet: the standalone broker .* has uncounted messages \(1\)\. .*NATS_NODES=1 npm start/,
      );
    });

    await t.test('as before it starts, and has the message', async () => {
      const mesh = await start(1);
      await counted(mesh, '5');
      await stop(mesh);
    });

    await t.test('then three start, and go on counting', async (t) => {
      const mesh = await start(3);
      t.match(mesh.output(), /they are empty: NATS_NODES is 3 from now on/);
      t.equal(mesh.describe().nats.length, 3);
      t.equal(await increment(mesh, key, 7), 200);
      await counted(mesh, '12');
      await leaveDeadLetter(mesh);
      await stop(mesh);
    });

    await t.test('Ctrl-C during the look leaves nothing running', async (t) => {
      const mesh = await launchMesh({ dataDir, environment: { NATS_NODES: '1' } });
      await until('three brokers', () => processesOf(dataDir).filter(isBroker).length === 3);
      process.kill(-mesh.child.pid!, 'SIGINT');
      await mesh.exited;
      t.match(mesh.output(), /mesh .*stopped/);
      t.strictSame(processesOf(dataDir), []);
    });

    await t.test('three refuse to be one while there is a dead letter', async (t) => {
      t.match(
        await refusal(1),
        /can't change yet: the cluster broker .* has dead letters \(1\)\. .*NATS_NODES=3 npm start/,
      );
      const mesh = await start(3);
      const purge = await runCommand('dead-letters purge --all --yes', { DATA_DIR: dataDir });
      t.match(purge.output, /1 dead letter removed/, 'which is still there');
      await stop(mesh);
    });

    await t.test('then one starts, and goes on counting', async (t) => {
      const mesh = await start(1);
      t.match(mesh.output(), /they are empty: NATS_NODES is 1 from now on/);
      t.equal(await increment(mesh, key, 1), 200);
      await counted(mesh, '13');
      await stop(mesh);
    });
  },
);

function isBroker(command: string): boolean {
  return /nats-server.* -c .*\.conf$/.test(command);
}

async function stop(mesh: MeshProcess): Promise<void> {
  mesh.child.kill('SIGTERM');
  await mesh.exited;
}

/** Of a message that is no envelope. */
async function leaveDeadLetter(mesh: MeshProcess): Promise<void> {
  const secrets = readFileSync(join(mesh.dataDir, 'secrets.json'), 'utf8');
  const { nats } = JSON.parse(secrets) as { nats: Record<string, string> };
  const url = natsUrlOf(mesh.describe())
    .replaceAll('inspector:', 'provisioner:')
    .replaceAll(nats['inspector']!, nats['provisioner']!);
  const connection = await connectToNats({ url, role: 'provisioner' });
  try {
    const manager = await jetstreamManager(connection, { checkAPI: false });
    await jetstream(connection).publish(REPLAY_SUBJECT, 'not an envelope');
    const isThere = async () => (await manager.streams.info(INCREMENTS_DEAD)).state.messages === 1;
    await until('a dead letter', isThere);
  } finally {
    await connection.close();
  }
}
