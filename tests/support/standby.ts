import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import type { Test } from 'tap';
import { findFreePort } from '../../mesh/servers/ports.ts';
import { startPostgres, type PostgresServer } from '../../mesh/servers/postgres.ts';
import { withDatabaseUser } from '../../schema/database/database-url.ts';
import { endWithUs } from './end-with-us.ts';
import { copyPostgresTemplate } from './postgres-template.ts';
import { PASSWORDS } from './passwords.ts';
import { startServers, type Servers, type ServersOptions } from './servers.ts';

export interface Pair extends Servers {
  standby: () => PostgresServer;
  /** Both servers, of which the primary is wanted. */
  listUrl: (user: string, password: string) => string;
  startStandby: () => Promise<void>;
  /** Makes the standby the primary. */
  promote: () => Promise<void>;
}

/** A primary whose commits wait for a synchronous standby, and that standby. */
export async function startPair(t: Test, options: ServersOptions = {}): Promise<Pair> {
  const servers = await startServers(t, {
    ...options,
    postgresSettings: ['synchronous_standby_names=standby'],
  });
  const primaryPort = new URL(servers.postgres.url).port;
  const folder = join(servers.folder, 'standby');
  // The primary began with the same files, and has kept the log since.
  await copyPostgresTemplate(folder);
  writeFileSync(join(folder, 'standby.signal'), '');
  const standbyOptions = {
    folder,
    port: await findFreePort(),
    password: PASSWORDS.superuser,
    settings: [
      `primary_conninfo=host=127.0.0.1 port=${primaryPort} user=postgres password=${PASSWORDS.superuser} application_name=standby`,
    ],
  };
  const launch = async () => endWithUs(await startPostgres(standbyOptions), 'SIGQUIT');
  let standby = await launch();
  t.teardown(() => standby.stop());

  return Object.assign(servers, {
    standby: () => standby,
    listUrl: (user: string, password: string) => {
      const hosts = [primaryPort, standbyOptions.port].map((port) => `127.0.0.1:${port}`);
      const url = `postgres://${hosts.join(',')}/increments?target_session_attrs=read-write`;
      return withDatabaseUser(url, user, password);
    },
    startStandby: async () => {
      standby = await launch();
    },
    promote: async () => {
      const client = new Client({ connectionString: standby.url });
      await client.connect();
      await client.query('select pg_promote(true)');
      await client.end();
    },
  });
}
