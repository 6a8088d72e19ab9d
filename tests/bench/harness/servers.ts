import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { jetstreamManager } from '@nats-io/jetstream';
import { sql, type Kysely } from 'kysely';
import { startNats } from '../../../mesh/servers/nats.ts';
import { findFreePort } from '../../../mesh/servers/ports.ts';
import { startPostgres } from '../../../mesh/servers/postgres.ts';
import { connectToNats, type NatsRole } from '../../../nats/connect.ts';
import { provision } from '../../../nats/provision.ts';
import { INCREMENTS } from '../../../nats/streams.ts';
import { DEFAULT_SCHEMA, OWN_SERVER_PREFIX } from '../../../schema/database/database-names.ts';
import { sessionSettings } from '../../../schema/database/role-settings.ts';
import { openDatabase } from '../../../schema/database/database.ts';
import { type Database } from '../../../schema/database/tables.ts';
import { migrate } from '../../../schema/database/migrate.ts';
import { OWNER, setUpServer } from '../../../schema/database/set-up-server.ts';
import { endWithUs } from '../../support/end-with-us.ts';
import type { DiskUse, MeasuredProcess } from './contender.ts';
import type { Scope } from './scope.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** Fixed, since these servers listen on loopback for the length of a run. */
const NATS_PASSWORDS = {
  gateway: 'gw',
  counter: 'ct',
  inspector: 'is',
  provisioner: 'pv',
  operator: 'op',
};

/** The project's own disk, where a mesh keeps its data; in many systems /tmp is memory. */
export function makeFolder(scope: Scope): string {
  const folder = mkdtempSync(join(ROOT, '.mesh-bench-'));
  // PostgreSQL, which does not run as root, has to get through.
  chmodSync(folder, 0o711);
  scope.defer(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface Broker {
  processes: MeasuredProcess[];
  urls: Record<NatsRole, string>;
}

/** A nats-server with an empty stream, with the settings of `npm start`: each message is synced. */
export async function startBroker(scope: Scope, folder: string): Promise<Broker> {
  const nats = await startNats({
    folder: join(folder, 'nats'),
    port: await findFreePort(),
    passwords: NATS_PASSWORDS,
  });
  endWithUs(nats);
  scope.defer(() => nats.stop());
  await provision({ url: nats.urls.provisioner, replicas: 1, flushIntervalMs: 9_000 });
  return { processes: [{ name: 'nats-server', pid: nats.pid }], urls: nats.urls };
}

export interface Postgres {
  pid: number;
  /** As the superuser. */
  database: Kysely<Database>;
  urls: Record<'owner' | 'gateway' | 'counter', string>;
}

/** A PostgreSQL with empty tables. */
export async function startDatabase(scope: Scope, folder: string): Promise<Postgres> {
  const postgres = await startPostgres({
    folder: join(folder, 'postgres'),
    port: await findFreePort(),
    password: 'superuser',
  });
  endWithUs(postgres, 'SIGQUIT');
  scope.defer(() => postgres.stop());
  const ownerUrl = asRole(postgres.url, OWNER, 'owner');
  await setUpServer({ superuserUrl: postgres.url, ownerPassword: 'owner' });
  await migrate({
    ownerUrl,
    rolePrefix: OWN_SERVER_PREFIX,
    passwords: { gateway: 'gw', counter: 'ct' },
  });
  const database = openDatabase(postgres.url, {
    name: 'bench',
    connectionsMax: 2,
    queryTimeoutMs: 60_000,
    settings: sessionSettings(DEFAULT_SCHEMA),
    onBrokenConnection: () => undefined,
  });
  scope.defer(() => database.destroy());
  return {
    pid: postgres.pid,
    database,
    urls: {
      owner: ownerUrl,
      gateway: asRole(postgres.url, 'mesh_gateway', 'gw'),
      counter: asRole(postgres.url, 'mesh_counter', 'ct'),
    },
  };
}

/** A message is synced before it is acknowledged, so there are at least as many. */
export async function countMessages(broker: Broker): Promise<number> {
  const connection = await connectToNats({ url: broker.urls.inspector, role: 'inspector' });
  try {
    const manager = await jetstreamManager(connection, { checkAPI: false });
    return (await manager.streams.info(INCREMENTS)).state.last_seq;
  } finally {
    await connection.close();
  }
}

/** The write-ahead log and the tables together. */
export async function readDatabaseDisk(database: Kysely<Database>): Promise<DiskUse> {
  const { rows } = await sql<{ syncs: string; bytes: string }>`
    select coalesce(sum(fsyncs), 0) as syncs,
      coalesce(sum(write_bytes), 0) + coalesce(sum(extend_bytes), 0) as bytes
    from pg_stat_io`.execute(database);
  const { syncs, bytes } = rows[0] ?? { syncs: 0, bytes: 0 };
  return { syncs: Number(syncs), writtenMib: Number(bytes) / 1024 / 1024 };
}

function asRole(superuserUrl: string, user: string, password: string): string {
  const url = new URL(superuserUrl);
  url.username = user;
  url.password = password;
  return url.href;
}
