import { randomUUID } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { findFreePort } from '../../mesh/servers/ports.ts';
import { startPostgres, type PostgresServer } from '../../mesh/servers/postgres.ts';
import { OWNER } from '../../schema/database/set-up-server.ts';
import { endWithUs } from './end-with-us.ts';
import { PASSWORDS } from './passwords.ts';
import { copyPostgresTemplate, makeRoles } from './postgres-template.ts';

/** The superuser's URL of the PostgreSQL that this run of the tests shares; the runner sets it. */
export const SHARED_POSTGRES_VARIABLE = 'TEST_POSTGRES_URL';

/** Several test files at once, each with a dozen services, each with a pool of connections. */
const CONNECTIONS_MAX = 400;

/** A PostgreSQL in which every test gets a database of its own: it is never stopped, frozen or set. */
export async function startSharedPostgres(): Promise<PostgresServer> {
  const folder = mkdtempSync(join(tmpdir(), 'increment-mesh-postgres-'));
  chmodSync(folder, 0o755);
  const data = join(folder, 'postgres');
  await copyPostgresTemplate(data);
  const server = await startPostgres({
    folder: data,
    port: await findFreePort(),
    password: PASSWORDS.superuser,
    settings: [`max_connections=${CONNECTIONS_MAX}`],
  });
  endWithUs(server, 'SIGQUIT');
  // With the limits that go with so many connections.
  await makeRoles(server.url);
  return {
    ...server,
    stop: async () => {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Makes a migrated database, a copy of the template's, and returns the superuser's URL. */
export async function createDatabase(): Promise<{ url: string; drop: () => Promise<void> }> {
  const server = process.env[SHARED_POSTGRES_VARIABLE] ?? (await (own ??= startOwn())).url;
  const name = `test-${randomUUID()}`;
  // Copying files is ten times as fast as writing the log of every page, on a disk in memory.
  await administer(
    server,
    `create database "${name}" owner ${OWNER} template increments strategy file_copy`,
  );
  const url = new URL(server);
  url.pathname = name;
  return {
    url: url.href,
    drop: () => administer(server, `drop database "${name}" with (force)`),
  };
}

/** Of a test file that is run by itself. */
let own: Promise<PostgresServer> | undefined;

async function startOwn(): Promise<PostgresServer> {
  const { default: root } = await import('tap');
  const server = await startSharedPostgres();
  root.teardown(() => server.stop());
  return server;
}

async function administer(serverUrl: string, statement: string): Promise<void> {
  const url = new URL(serverUrl);
  url.pathname = 'postgres';
  const client = new Client({ connectionString: url.href });
  await client.connect();
  await client.query(statement).finally(() => client.end());
}
