import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { connectToNats, managerOf } from '../../nats/connect.ts';
import { isRefusal } from '../../nats/error-codes.ts';
import { retryWhileLeaderless } from '../../nats/retry-while-leaderless.ts';
import { INCREMENTS, INCREMENTS_DEAD } from '../../nats/streams.ts';
import { writeFileAtomically } from '../files/write-file-atomically.ts';
import { rememberPorts } from '../servers/ports.ts';
import { StartError } from '../servers/start-error.ts';
import { natsPortNames, natsServers } from './nats-servers.ts';
import type { ServerContext } from './server-group.ts';
import type { Program } from './supervisor.ts';

/** As the data folder says it. */
const NODES: Record<string, 1 | 3> = { standalone: 1, cluster: 3 };

/** Starts programs, calls `use` once they are ready, and stops them. */
type WithPrograms = <Answer>(programs: Program[], use: () => Promise<Answer>) => Promise<Answer>;

/**
 * Prepares the data folder for as many nats-servers as NATS_NODES says. A cluster can't read what a
 * single server stored, nor the other way round, so the number changes only while the streams are
 * empty. To see that, the former servers are started once.
 *
 * @throws StartError where the streams are not empty.
 */
export async function changeNodeCount(
  context: ServerContext,
  withPrograms: WithPrograms,
): Promise<void> {
  const { settings, dataFolder, signal, say } = context;
  if (settings.NATS_URL !== undefined) return;
  const wanted = Object.keys(NODES).find((name) => NODES[name] === settings.NATS_NODES)!;
  const found = readFormerKind(dataFolder.nodeCountFile);
  if (found === wanted) return;
  if (found !== undefined) {
    const nodes = NODES[found];
    if (nodes === undefined) {
      throw new StartError(
        `${dataFolder.path} holds the data of a "${found}" mesh, which this version does not know: ` +
          'choose another DATA_DIR.',
      );
    }
    say(`NATS_NODES has changed: checking that the streams of the ${found} broker are empty …`);
    const former = { ...context, settings: { ...settings, NATS_NODES: nodes } };
    refuseUnlessEmpty(former, found, await countMessages(former, withPrograms));
    signal.throwIfAborted();
    // Only what was just checked.
    for (const folder of nodes === 1 ? ['nats'] : ['nats-1', 'nats-2', 'nats-3']) {
      rmSync(join(dataFolder.path, folder), { recursive: true, force: true });
    }
    say(`they are empty: NATS_NODES is ${settings.NATS_NODES} from now on`);
  }
  writeFileAtomically(dataFolder.nodeCountFile, `${wanted}\n`);
}

function readFormerKind(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
}

/** In the work queue and among the dead letters. */
async function countMessages(
  context: ServerContext,
  withPrograms: WithPrograms,
): Promise<[number, number]> {
  const ports = await rememberPorts(
    context.dataFolder.ports,
    natsPortNames(context.settings.NATS_NODES),
  );
  const { programs, urls } = await natsServers(context, ports);
  return withPrograms(programs, async () => {
    const connection = await connectToNats({ url: urls.inspector, role: 'inspector' });
    try {
      const manager = await managerOf(connection, { timeout: 5_000 });
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
  kind: string,
  [waiting, dead]: [number, number],
): void {
  const [found, remedy] =
    waiting > 0
      ? [`uncounted messages (${waiting})`, 'stop it when npm run mesh -- status shows none']
      : [`dead letters (${dead})`, 'replay or purge them (npm run mesh -- dead-letters)'];
  if (waiting + dead === 0) return;
  throw new StartError(
    `NATS_NODES can't change yet: the ${kind} broker in ${dataFolder.path} has ${found}. Start it with ` +
      `NATS_NODES=${settings.NATS_NODES} npm start, and ${remedy}. Or choose another DATA_DIR.`,
  );
}
