import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { jetstreamManager, JetStreamApiError } from '@nats-io/jetstream';
import { connectToNats } from '../nats/connect.ts';
import { INCREMENTS, INCREMENTS_DEAD } from '../nats/topology.ts';
import { stopProcess, type DetachedProcess } from './embedded/detached-process.ts';
import { rememberPorts } from './embedded/ports.ts';
import { natsPortNames, natsServers } from './nats-servers.ts';
import type { ServerContext } from './servers.ts';
import { StartError } from './start-error.ts';
import { writeFileAtomically } from './write-file-atomically.ts';

/** As it is written into the data folder. */
const NODES: Record<string, 1 | 3> = { standalone: 1, cluster: 3 };
const NO_SUCH_STREAM = 10059;

/**
 * Sees to it that the data folder was filled by as many nats-servers as are to run. What one server
 * stored can't be read by a cluster, nor the other way round: so a change needs empty streams, and
 * to know, the servers of before are started once more.
 *
 * @throws StartError where the streams are not empty.
 */
export async function settleTopology(context: ServerContext): Promise<void> {
  const { settings, dataFolder, say } = context;
  if (settings.NATS_URL !== undefined) return;
  const wanted = Object.keys(NODES).find((name) => NODES[name] === settings.NATS_NODES)!;
  const found = readTopology(dataFolder.topology);
  if (found === wanted) return;
  if (found !== undefined) {
    const nodes = NODES[found];
    if (nodes === undefined) {
      throw new StartError(
        `${dataFolder.path} holds the data of a "${found}" mesh, which this version does not know: ` +
          'choose another DATA_DIR.',
      );
    }
    say(`looking whether the streams of the ${found} broker are empty …`);
    await checkEmpty({ ...context, settings: { ...settings, NATS_NODES: nodes } }, found);
    for (const folder of ['nats', 'nats-1', 'nats-2', 'nats-3']) {
      rmSync(join(dataFolder.path, folder), { recursive: true, force: true });
    }
    say(`they are: from now on it is a ${wanted} one`);
  }
  writeFileAtomically(dataFolder.topology, `${wanted}\n`);
}

function readTopology(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
}

async function checkEmpty(context: ServerContext, topology: string): Promise<void> {
  const { dataFolder, settings } = context;
  const nodes = settings.NATS_NODES;
  const [waiting, dead] = await countMessages(context);
  const start = `NATS_NODES=${nodes} npm start`;
  const problem =
    waiting > 0
      ? `${waiting} messages that are not counted yet: ${start}, and stop it when npm run mesh -- status shows none`
      : dead > 0
        ? `${dead} dead letters: ${start}, and replay or purge them (npm run mesh -- dead-letters)`
        : undefined;
  if (problem === undefined) return;
  throw new StartError(
    `${dataFolder.path} holds the data of a ${topology} broker, which the other kind can't read, and in it ` +
      `${problem}. Or choose another DATA_DIR.`,
  );
}

/** In the work queue and among the dead letters. */
async function countMessages(context: ServerContext): Promise<[number, number]> {
  const ports = await rememberPorts(
    context.dataFolder.ports,
    natsPortNames(context.settings.NATS_NODES),
  );
  const { programs, urls } = await natsServers(context, ports);
  const running: DetachedProcess[] = [];
  try {
    for (const program of programs) running.push(await program.launch());
    await Promise.all(programs.map((program, index) => program.ready(running[index]!)));
    const connection = await connectToNats({ url: urls.inspector, role: 'inspector' });
    try {
      const manager = await jetstreamManager(connection, { checkAPI: false, timeout: 10_000 });
      const count = (stream: string) =>
        manager.streams.info(stream).then(({ state }) => state.messages, zeroIfMissing);
      return [await count(INCREMENTS), await count(INCREMENTS_DEAD)];
    } finally {
      await connection.close();
    }
  } finally {
    await Promise.all(
      running.map((process, index) => stopProcess(process, programs[index]!.stopSteps)),
    );
  }
}

function zeroIfMissing(error: unknown): number {
  if (error instanceof JetStreamApiError && error.code === NO_SUCH_STREAM) return 0;
  throw error;
}
