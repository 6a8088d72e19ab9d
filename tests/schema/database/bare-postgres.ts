import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import type { Test } from 'tap';
import { findFreePort } from '../../../mesh/servers/ports.ts';
import type { Binaries } from '../../../mesh/servers/postgres-cluster.ts';
import { startPostgres, type PostgresServer } from '../../../mesh/servers/postgres.ts';
import { endWithUs } from '../../support/end-with-us.ts';
import { PASSWORDS } from '../../support/passwords.ts';

export interface BarePostgres extends PostgresServer {
  logFile: string;
}

/** A PostgreSQL that has only its superuser: no database, no role and no table of ours. */
export async function startBarePostgres(
  t: Test,
  settings: string[] = [],
  binaries?: Binaries,
): Promise<BarePostgres> {
  const folder = mkdtempSync(join(tmpdir(), 'increment-mesh-test-'));
  chmodSync(folder, 0o755);
  const server = endWithUs(
    await startPostgres({
      folder: join(folder, 'postgres'),
      port: await findFreePort(),
      password: PASSWORDS.superuser,
      settings,
      ...(binaries && { binaries }),
    }),
    'SIGQUIT',
  );
  t.teardown(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  return { ...server, logFile: join(folder, 'postgres.log') };
}

/** Runs statements on a connection of their own and returns the rows of the last one. */
export async function ask(
  url: string,
  ...statements: string[]
): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    let rows: Record<string, unknown>[] = [];
    for (const statement of statements) ({ rows } = await client.query(statement));
    return rows;
  } finally {
    await client.end();
  }
}

export function inDatabase(url: string, name: string): string {
  const other = new URL(url);
  other.pathname = name;
  return other.href;
}
