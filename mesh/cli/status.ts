import type { JetStreamManager } from '@nats-io/jetstream';
import type { Kysely } from 'kysely';
import { lookAtStores } from '../../counter/settle/compare-stores.ts';
import { streamReaders } from '../../counter/settle/stream-state.ts';
import type { Database } from '../../schema/database/tables.ts';
import { EXIT, type Command, type CommandContext } from './command.ts';
import { describeStatus } from './status/describe-status.ts';
import { findProblems } from './status/find-problems.ts';
import type { MeshStatus } from './status/mesh-status.ts';
import { readBroker } from './status/read-broker.ts';
import { readDatabase } from './status/read-database.ts';
import { readServices } from './status/read-services.ts';
import { readStaleness } from './status/read-staleness.ts';

/** `status`: does everything run, and keep up? */
export const status: Command = {
  name: 'status',
  synopsis: '',
  summary: 'Shows what runs, how much waits and for how long',
  help: `
Every gateway and counter service that answers through NATS, with its stats; the stream and its
consumer; the age of the oldest increment that is not yet in the database, which is at most ten
seconds; dead letters; the database.

It exits with 0 if all is well, and with 1 if something is wrong, which it names: a service that
does not answer, a gateway whose increments are not stored, flushes that fail, increments older than
ten seconds, books that did not balance, a replica that is not current, a stream that is nearly full,
messages of a newer version that are parked, messages that are gone, dead letters, a setting of the
stream that breaks a promise, a database that can't be reached. Exit code 3 means that the broker does
not answer.`,
  run: async ({ servers, print }) => {
    const found = await readStatus(servers);
    const status = { problems: findProblems(found, servers.addresses.mesh), ...found };
    print(status, () => describeStatus(status));
    if ('away' in found.broker) return EXIT.noAnswer;
    return status.problems.length === 0 ? EXIT.fine : EXIT.bad;
  },
};

export async function readStatus(
  servers: CommandContext['servers'],
): Promise<Omit<MeshStatus, 'problems'>> {
  // A server without an address is a wrong command line, not a server that is away.
  const { addresses } = servers;
  void [addresses.nats('inspector'), addresses.database];
  const [broker, database] = await Promise.all([
    orAway(async () => readBroker(await servers.manager('inspector'))),
    orAway(async () => readDatabase(await servers.database())),
  ]);
  const isBrokerAway = 'away' in broker;
  const isEitherAway = isBrokerAway || 'away' in database;
  const disagreement = isEitherAway
    ? undefined
    : await readDisagreement(await servers.manager('inspector'), await servers.database());
  return {
    services: isBrokerAway ? [] : await readServices(await servers.nats('inspector')),
    broker,
    database,
    stalenessMs: isEitherAway
      ? null
      : await readStaleness(await servers.manager('inspector'), await servers.database()),
    disagreement: disagreement?.message ?? null,
  };
}

async function readDisagreement(manager: JetStreamManager, database: Kysely<Database>) {
  return (await lookAtStores(database, streamReaders(manager))).found;
}

/** A server that is away must not hide what the other one says. */
async function orAway<Answer>(read: () => Promise<Answer>): Promise<Answer | { away: string }> {
  try {
    return await read();
  } catch (error) {
    return { away: (error as Error).message };
  }
}
