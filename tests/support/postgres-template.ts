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
import { findFreePort } from '../../mesh/servers/ports.ts';
import { startPostgres } from '../../mesh/servers/postgres.ts';
import { digest } from '../../schema/digest.ts';
import { migrate } from '../../schema/database/migrate.ts';
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
    password: PASSWORDS.owner,
  });
  await migrate({
    ownerUrl: server.url,
    gatewayPassword: PASSWORDS.gateway,
    counterPassword: PASSWORDS.counter,
  });
  await server.stop();
  if (!existsSync(template)) renameSync(data, template);
  rmSync(workplace, { recursive: true, force: true });
}

function readMigrations(): string {
  const folder = join(ROOT, 'schema', 'database', 'migrations');
  const files = readdirSync(folder).map((name) => join(folder, name));
  return [join(ROOT, 'schema', 'database', 'migrate.ts'), ...files]
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n');
}
