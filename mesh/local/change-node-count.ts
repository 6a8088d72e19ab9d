import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { connectToNats } from '../../nats/connect.ts';
import { isRefusal } from '../../nats/error-codes.ts';
import { retryWhileLeaderless } from '../../nats/retry-while-leaderless.ts';
import { INCREMENTS, INCREMENTS_DEAD } from '../../nats/streams.ts';
import { rememberPorts } from '../servers/ports.ts';
import { natsPortNames, natsServers } from './nats-servers.ts';
import type { ServerContext } from './server-group.ts';
import { StartError } from '../servers/start-error.ts';
import type { Program } from './supervisor.ts';
import { writeFileAtomically } from '../files/write-file-atomically.ts';

/** As it is written into the data folder. */
const NODES: Record<string, 1 | 3> = { standalone: 1, cluster: 3 };

/** Runs servers until `use` is done with them, or the mesh is stopped meanwhile. */
type WhileRunning = <Answer>(programs: Program[], use: () => Promise<Answer>) => Promise<Answer>;

/**
 * Sees to it that the data folder was filled by as many nats-servers as are to run. What one server
 * stored can't be read by a cluster, nor the other way round: so a change needs empty streams, and
 * to know, the servers of before are started once more.
 *
 * @throws StartError where the streams are not empty.
 */
export async function changeNodeCount(
  context: ServerContext,
  whileRunning: WhileRunning,
): Promise<void> {
  const { settings, dataFolder, signal, say } = context;
  if (settings.NATS_URL !== undefined) return;
  const wanted = Object.keys(NODES).find((name) => NODES[name] === settings.NATS_NODES)!;
  const found = readNodeCount(dataFolder.topology);
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
    const former = { ...context, settings: { ...settings, NATS_NODES: nodes } };
    refuseUnlessEmpty(former, found, await countMessages(former, whileRunning));
    signal.throwIfAborted();
    // What was not looked into is left alone.
    for (const folder of nodes === 1 ? ['nats'] : ['nats-1', 'nats-2', 'nats-3']) {
      rmSync(join(dataFolder.path, folder), { recursive: true, force: true });
    }
    say(`they are: from now on it is a ${wanted} one`);
  }
  writeFileAtomically(dataFolder.topology, `${wanted}\n`);
}

function readNodeCount(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
}

/** In the work queue and among the dead letters. */
async function countMessages(
  context: ServerContext,
  whileRunning: WhileRunning,
): Promise<[number, number]> {
  const ports = await rememberPorts(
    context.dataFolder.ports,
    natsPortNames(context.settings.NATS_NODES),
  );
  const { programs, urls } = await natsServers(context, ports);
  return whileRunning(programs, async () => {
    const connection = await connectToNats({ url: urls.inspector, role: 'inspector' });
    try {
      const manager = await jetstreamManager(connection, { checkAPI: false, timeout: 5_000 });
      const count = (stream: string) =>
        retryWhileLeaderless(() => manager.streams.info(stream)).then(
          ({ state }) => state.messages,
          zeroIfMissing,
        );
      return [await count(INCREMENTS), await count(INCREMENTS_DEAD)];
    } finally {
      await connection.close();
    }
  });
}

function zeroIfMissing(error: unknown): number {
  if (isRefusal(error, 'no-stream')) return 0;
  throw error;
}

function refuseUnlessEmpty(
  { dataFolder, settings }: ServerContext,
  topology: string,
  [waiting, dead]: [number, number],
): void {
  const start = `NATS_NODES=${settings.NATS_NODES} npm start`;
  const problem =
    waiting > 0
      ? `messages that are not counted yet (${waiting}): ${start}, and stop it when npm run mesh -- status shows none`
      : dead > 0
        ? `dead letters (${dead}): ${start}, and replay or purge them (npm run mesh -- dead-letters)`
        : undefined;
  if (problem === undefined) return;
  throw new StartError(
    `${dataFolder.path} holds the data of a ${topology} broker, which the other kind can't read, and in it ` +
      `${problem}. Or choose another DATA_DIR.`,
  );
}
