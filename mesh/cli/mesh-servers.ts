import { setTimeout as delay } from 'node:timers/promises';
import type { JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { sql, type Kysely } from 'kysely';
import { connectToNats, managerOf, NATS_ROLES, type NatsRole } from '../../nats/connect.ts';
import { describeDatabaseUrl } from '../../schema/database/database-url.ts';
import { openDatabase } from '../../schema/database/database.ts';
import { sessionSettings } from '../../schema/database/role-settings.ts';
import { describeDatabaseError } from '../../schema/database/describe-database-error.ts';
import { type Database } from '../../schema/database/tables.ts';
import type { Addresses } from './addresses.ts';
import { NoAnswer } from './errors.ts';

/** Enough for a `clear` or an `audit` of a large table; the user can press Ctrl-C. */
const QUERY_TIMEOUT_MS = 600_000;
const BROKER_TIMEOUT_MS = 5_000;
/** A server that is frozen takes no leave. */
const CLOSE_MS_MAX = 500;

/** The servers of a mesh, each connected at its first use. */
export interface MeshServers {
  readonly addresses: Addresses;
  /** @throws NoAnswer */
  nats: (role: 'inspector' | 'provisioner') => Promise<NatsConnection>;
  /** @throws NoAnswer */
  manager: (role: 'inspector' | 'provisioner') => Promise<JetStreamManager>;
  /** As the owner of the tables. @throws NoAnswer */
  database: () => Promise<Kysely<Database>>;
  close: () => Promise<void>;
}

export function connectServers(addresses: Addresses): MeshServers {
  const connections = new Map<NatsRole, Promise<NatsConnection>>();
  let opened: Promise<Kysely<Database>> | undefined;

  const nats = (role: 'inspector' | 'provisioner') => {
    const connection = connections.get(role) ?? connect(addresses, role);
    connections.set(role, connection);
    // A command that looks again connects again.
    connection.catch(() => connections.delete(role));
    return connection;
  };
  return {
    addresses,
    nats,
    manager: async (role) => managerOf(await nats(role), { timeout: BROKER_TIMEOUT_MS }),
    database: () => {
      opened ??= open(addresses.database, addresses.databaseSchema);
      opened.catch(() => (opened = undefined));
      return opened;
    },
    close: async () => {
      const all = [...connections.values()].map((each) => each.then((one) => one.close()));
      const closing = Promise.allSettled([...all, opened?.then((database) => database.destroy())]);
      await Promise.race([closing, delay(CLOSE_MS_MAX, undefined, { ref: false })]);
    },
  };
}

async function connect(
  { nats, natsAccess }: Addresses,
  role: 'inspector' | 'provisioner',
): Promise<NatsConnection> {
  const url = nats(role);
  try {
    return await connectToNats({ url, role: roleOf(url) ?? role, ...natsAccess });
  } catch (error) {
    throw new NoAnswer((error as Error).message, { cause: error });
  }
}

/** The role of a URL's user, who may only read inboxes of that role; undefined where it is not ours. */
function roleOf(url: string): NatsRole | undefined {
  const { username } = new URL(url.split(',', 1)[0] ?? '');
  return NATS_ROLES.find((role) => role === username);
}

async function open(url: string, schema: string): Promise<Kysely<Database>> {
  const database = openDatabase(url, {
    name: 'increment-mesh command',
    connectionsMax: 2,
    settings: sessionSettings(schema),
    queryTimeoutMs: QUERY_TIMEOUT_MS,
    onBrokenConnection: () => undefined,
  });
  try {
    await sql`select 1`.execute(database);
    return database;
  } catch (error) {
    await database.destroy();
    throw new NoAnswer(
      `can't connect to PostgreSQL at ${describeDatabaseUrl(url)}: ${describeDatabaseError(error)}`,
      { cause: error },
    );
  }
}
