import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { findFreePort } from '../../mesh/servers/ports.ts';
import { startPostgres } from '../../mesh/servers/postgres.ts';
import { DEFAULT_SCHEMA, OWN_SERVER_PREFIX } from '../../schema/database/database-names.ts';
import { digest } from '../../schema/digest.ts';
import { withDatabaseUser } from '../../schema/database/database-url.ts';
import { migrate } from '../../schema/database/migrate.ts';
import { OWNER, setUpServer, SUPERUSER } from '../../schema/database/set-up-server.ts';
import { PASSWORDS } from './passwords.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Copies the data of a migrated, stopped PostgreSQL to a folder. It is made once for each state of the
 * migrations and kept in `.cache`: no test waits for initdb.
 */
export async function copyPostgresTemplate(folder: string): Promise<void> {
  const template = join(ROOT, '.cache', `postgres-${digest(readMigrations()).slice(0, 8)}`);
  if (!existsSync(template)) await makeTemplate(template);
  execFileSync('cp', ['-a', template, folder]);
}

async function makeTemplate(template: string): Promise<void> {
  // Tests that start together may each make one; the first to rename wins.
  const workplace = `${template}-${process.pid}`;
  mkdirSync(workplace, { recursive: true });
  chmodSync(workplace, 0o755);
  const data = join(workplace, 'postgres');
  const server = await startPostgres({
    folder: data,
    port: await findFreePort(),
    password: PASSWORDS.superuser,
  });
  await setUpServer({ superuserUrl: server.url, ownerPassword: PASSWORDS.owner });
  await makeRoles(server.url);
  await findTables(server.url);
  await server.stop();
  if (!existsSync(template)) renameSync(data, template);
  rmSync(workplace, { recursive: true, force: true });
}

/** In each copy of the database, which does not have the settings of its template. */
async function findTables(superuserUrl: string): Promise<void> {
  const client = new Client({ connectionString: superuserUrl });
  await client.connect();
  for (const role of [SUPERUSER, OWNER]) {
    await client.query(`alter role ${role} set search_path = ${DEFAULT_SCHEMA}`);
  }
  await client.end();
}

/** With the tests' passwords, and the tables that are missing. */
export async function makeRoles(superuserUrl: string): Promise<void> {
  await migrate({
    ownerUrl: withDatabaseUser(superuserUrl, OWNER, PASSWORDS.owner),
    rolePrefix: OWN_SERVER_PREFIX,
    passwords: {
      gateway: PASSWORDS.gateway,
      counter: PASSWORDS.counter,
      reader: PASSWORDS.reader,
    },
  });
}

function readMigrations(): string {
  const folder = join(ROOT, 'schema', 'database');
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('\n');
}
