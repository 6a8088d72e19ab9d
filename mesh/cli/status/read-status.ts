import { lookAtStores } from '../../../counter/settle/compare-stores.ts';
import { streamReaders } from '../../../counter/settle/stream-state.ts';
import { isCurrent } from '../../../nats/replica-state.ts';
import { describeBehind, lookAtReplicas } from '../../../nats/replicas.ts';
import type { MeshServers } from '../mesh-servers.ts';
import { within } from '../within.ts';
import { isAway, type MeshParts } from './mesh-status.ts';
import { readBroker } from './read-broker.ts';
import { readDatabase } from './read-database.ts';
import { readServices } from './read-services.ts';
import { readStaleness } from './read-staleness.ts';

/** A server that takes longer does not answer: whoever is on call has ten seconds for all of it. */
const PART_MS_MAX = 3_000;
/** To see whether a replica keeps up takes several looks. */
const REPLICAS_MS_MAX = 5_000;

/**
 * Reads all parts at once, so that a server that does not answer hides nothing of the others.
 *
 * @param onPart called with each part as it comes.
 */
export async function readStatus(
  servers: MeshServers,
  onPart: (part: Partial<MeshParts>) => void = () => undefined,
): Promise<MeshParts> {
  // A server without an address is a wrong command line, not a server that is away.
  const { addresses } = servers;
  void [addresses.nats('inspector'), addresses.database];
  const manager = () => servers.manager('inspector');
  const told = async <Name extends 'services' | 'broker' | 'database'>(
    name: Name,
    reading: Promise<MeshParts[Name]>,
  ) => {
    const part = await reading;
    onPart({ [name]: part });
    return part;
  };

  const [services, broker, database, replicas] = await Promise.all([
    told(
      'services',
      within(PART_MS_MAX, async () => readServices(await servers.nats('inspector'))),
    ),
    told(
      'broker',
      within(PART_MS_MAX, async () => readBroker(await manager())),
    ),
    told(
      'database',
      within(PART_MS_MAX, async () => readDatabase(await servers.database())),
    ),
    within(REPLICAS_MS_MAX, async () => {
      const found = await lookAtReplicas(await manager());
      return { behind: found.every(isCurrent) ? null : describeBehind(found) };
    }),
  ]);
  const areThere = !isAway(broker) && !isAway(database);
  const both = async <Answer>(
    read: (found: { manager: Manager; database: Database }) => Promise<Answer>,
  ): Promise<Answer | null> => {
    if (!areThere) return null;
    const found = await within(PART_MS_MAX, async () =>
      read({ manager: await manager(), database: await servers.database() }).then((answer) => ({
        answer,
      })),
    );
    return isAway(found) ? null : found.answer;
  };
  const [stalenessMs, disagreement] = await Promise.all([
    both((found) => readStaleness(found.manager, found.database)),
    both(async (found) => {
      const { found: disagreement } = await lookAtStores(
        found.database,
        streamReaders(found.manager),
      );
      return disagreement?.message ?? null;
    }),
  ]);
  return { services, broker, database, replicas, stalenessMs, disagreement };
}

type Manager = Awaited<ReturnType<MeshServers['manager']>>;
type Database = Awaited<ReturnType<MeshServers['database']>>;
