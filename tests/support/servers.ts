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
import { type Database } from '../../schema/database/tables.ts';
import { endWithUs } from './end-with-us.ts';
import { copyPostgresTemplate } from './postgres-template.ts';

/** Fixed, since these servers listen on loopback for the length of a test. */
export const PASSWORDS = {
  gateway: 'gw',
  counter: 'ct',
  inspector: 'is',
  provisioner: 'pv',
  owner: 'owner',
};

export interface Servers {
  folder: string;
  nats: NatsServer;
  postgres: PostgresServer;
  /** As the owner. */
  database: Kysely<Database>;
  urls: { nats: NatsServer['urls']; gatewayDatabase: string; counterDatabase: string };
  /** What the broker holds, as the inspector sees it. */
  inspect: () => Promise<{ messages: number; ackPending: number }>;
  /** Start again on the same data and port, after a kill. */
  restartNats: () => Promise<void>;
  restartPostgres: () => Promise<void>;
}

export interface ServersOptions {
  flushIntervalMs?: number;
  streamBytesMax?: number;
  /** Of PostgreSQL, as `name=value`. */
  postgresSettings?: string[];
}

/** A real nats-server and a real PostgreSQL on free ports, provisioned; stopped with the test. */
export async function startServers(t: Test, options: ServersOptions = {}): Promise<Servers> {
  const folder = mkdtempSync(join(tmpdir(), 'increment-mesh-test-'));
  chmodSync(folder, 0o755);
  const natsOptions = {
    folder: join(folder, 'nats'),
    port: await findFreePort(),
    passwords: PASSWORDS,
  };
  const postgresOptions = {
    folder: join(folder, 'postgres'),
    port: await findFreePort(),
    password: PASSWORDS.owner,
    settings: options.postgresSettings ?? [],
  };
  await copyPostgresTemplate(postgresOptions.folder, PASSWORDS);
  const launchNats = async () => endWithUs(await startNats(natsOptions));
  const launchPostgres = async () => endWithUs(await startPostgres(postgresOptions), 'SIGQUIT');
  const [nats, postgres] = await Promise.all([launchNats(), launchPostgres()]);
  await provision({ url: nats.urls.provisioner, replicas: 1, flushIntervalMs: 9_000, ...options });

  const database = openDatabase(postgres.url, {
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
    postgres,
    database,
    urls: {
      nats: nats.urls,
      gatewayDatabase: asRole(postgres.url, 'mesh_gateway', PASSWORDS.gateway),
      counterDatabase: asRole(postgres.url, 'mesh_counter', PASSWORDS.counter),
    },
    inspect: async () => {
      const { state } = await inspector.streams.info(INCREMENTS);
      const { num_ack_pending: ackPending } = await inspector.consumers.info(INCREMENTS, COUNTER);
      return { messages: state.messages, ackPending };
    },
    restartNats: async () => {
      await servers.nats.exited;
      servers.nats = await launchNats();
    },
    restartPostgres: async () => {
      await servers.postgres.exited;
      servers.postgres = await launchPostgres();
    },
  };
  t.teardown(async () => {
    await connection.close();
    await database.destroy();
    await Promise.all([servers.nats.stop(), servers.postgres.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });
  return servers;
}

function asRole(ownerUrl: string, user: string, password: string): string {
  const url = new URL(ownerUrl);
  url.username = user;
  url.password = password;
  return url.href;
}
