import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import type { Kysely } from 'kysely';
import type { Test } from 'tap';
import { startNats, type NatsServer } from '../../mesh/servers/nats.ts';
import { findFreePort } from '../../mesh/servers/ports.ts';
import { startPostgres, type PostgresServer } from '../../mesh/servers/postgres.ts';
import { connectToNats } from '../../nats/connect.ts';
import { provision } from '../../nats/provision.ts';
import { COUNTER, INCREMENTS } from '../../nats/streams.ts';
import { openDatabase } from '../../schema/database/database.ts';
import { withDatabaseUser } from '../../schema/database/database-url.ts';
import { OWNER } from '../../schema/database/set-up-server.ts';
import { type Database } from '../../schema/database/tables.ts';
import { endWithUs } from './end-with-us.ts';
import { PASSWORDS } from './passwords.ts';
import { diskFolder } from '../runner/scratch-folder.ts';
import { copyPostgresTemplate } from './postgres-template.ts';
import { createDatabase } from './shared-postgres.ts';

export interface Servers {
  folder: string;
  nats: NatsServer;
  /** @throws Error where PostgreSQL is not the test's own, to be stopped or frozen. */
  readonly postgres: PostgresServer;
  /** As the superuser. */
  database: Kysely<Database>;
  urls: {
    nats: NatsServer['urls'];
    ownerDatabase: string;
    gatewayDatabase: string;
    counterDatabase: string;
    readerDatabase: string;
  };
  /** What the broker holds, as the inspector sees it. */
  inspect: () => Promise<{ messages: number; lastSequence: number; ackPending: number }>;
  /** Start again on the same data and port, after a kill. */
  restartNats: () => Promise<void>;
  restartPostgres: () => Promise<void>;
}

export interface ServersOptions {
  flushIntervalMs?: number;
  streamBytesMax?: number;
  /** What takes the disk's time, which a folder in memory would hide. */
  isOnDisk?: boolean;
  /** Else it is a database of its own in the PostgreSQL that the tests share. */
  ownPostgres?: boolean;
  /** Of a PostgreSQL of its own, as `name=value`. */
  postgresSettings?: string[];
}

/** A real nats-server and a real PostgreSQL on free ports, provisioned; stopped with the test. */
export async function startServers(t: Test, options: ServersOptions = {}): Promise<Servers> {
  const place = options.isOnDisk === true ? diskFolder() : tmpdir();
  const folder = mkdtempSync(join(place, 'increment-mesh-test-'));
  chmodSync(folder, 0o755);
  const natsOptions = {
    folder: join(folder, 'nats'),
    port: await findFreePort(),
    passwords: PASSWORDS,
  };
  const launchNats = async () => endWithUs(await startNats(natsOptions));
  const isOwn =
    options.ownPostgres ?? (options.isOnDisk === true || options.postgresSettings !== undefined);
  const [nats, store] = await Promise.all([
    launchNats(),
    isOwn ? startStore(folder, options.postgresSettings) : shareStore(),
  ]);
  await provision({ url: nats.urls.provisioner, replicas: 1, flushIntervalMs: 9_000, ...options });

  const database = openDatabase(store.url, {
    name: 'test',
    connectionsMax: 2,
    queryTimeoutMs: 30_000,
    onBrokenConnection: () => undefined,
  });
  const connection = await connectToNats({ url: nats.urls.inspector, role: 'inspector' });
  const inspector = await jetstreamManager(connection, { checkAPI: false, timeout: 10_000 });
  const servers: Servers = {
    folder,
    nats,
    get postgres() {
      return store.server();
    },
    database,
    urls: {
      nats: nats.urls,
      ownerDatabase: withDatabaseUser(store.url, OWNER, PASSWORDS.owner),
      gatewayDatabase: withDatabaseUser(store.url, 'mesh_gateway', PASSWORDS.gateway),
      counterDatabase: withDatabaseUser(store.url, 'mesh_counter', PASSWORDS.counter),
      readerDatabase: withDatabaseUser(store.url, 'mesh_reader', PASSWORDS.reader),
    },
    inspect: async () => {
      const { state } = await inspector.streams.info(INCREMENTS);
      const { num_ack_pending: ackPending } = await inspector.consumers.info(INCREMENTS, COUNTER);
      return { messages: state.messages, lastSequence: state.last_seq, ackPending };
    },
    restartNats: async () => {
      await servers.nats.exited;
      servers.nats = await launchNats();
    },
    restartPostgres: () => store.restart(),
  };
  t.teardown(async () => {
    await connection.close();
    await database.destroy();
    await Promise.all([servers.nats.stop(), store.end()]);
    rmSync(folder, { recursive: true, force: true });
  });
  return servers;
}

interface Store {
  /** The superuser's. */
  url: string;
  server: () => PostgresServer;
  restart: () => Promise<void>;
  end: () => Promise<void>;
}

async function startStore(folder: string, settings: string[] = []): Promise<Store> {
  const options = {
    folder: join(folder, 'postgres'),
    port: await findFreePort(),
    password: PASSWORDS.superuser,
    settings,
  };
  await copyPostgresTemplate(options.folder);
  const launch = async () => endWithUs(await startPostgres(options), 'SIGQUIT');
  let server = await launch();
  return {
    url: server.url,
    server: () => server,
    restart: async () => {
      await server.exited;
      server = await launch();
    },
    end: () => server.stop(),
  };
}

async function shareStore(): Promise<Store> {
  const { url, drop } = await createDatabase();
  const refuse = () => {
    throw new Error('PostgreSQL serves other tests too: start one by { ownPostgres: true }');
  };
  return { url, server: refuse, restart: refuse, end: drop };
}
