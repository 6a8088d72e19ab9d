import { chownSync, chmodSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import t, { type Test } from 'tap';
import { openDatabase } from '../../schema/database.ts';
import { parseDatabaseUrl, withDatabaseUser } from '../../schema/database-url.ts';
import { makeCertificates } from '../support/certificates.ts';
import { startServers } from '../support/servers.ts';

await t.test('a list of hosts is taken apart as libpq does', (t) => {
  const list = 'postgres://u:p%40@one:5432,two:5433/increments?target_session_attrs=read-write&a=1';
  t.strictSame(parseDatabaseUrl(list), {
    urls: [
      'postgres://u:p%40@one:5432/increments?a=1',
      'postgres://u:p%40@two:5433/increments?a=1',
    ],
    needsPrimary: true,
  });
  t.strictSame(parseDatabaseUrl('postgres://u@one/increments'), {
    urls: ['postgres://u@one/increments'],
    needsPrimary: false,
  });
  t.equal(
    withDatabaseUser('postgres://u:p@one,two/increments?a=1', 'mesh_gateway', 'a/b'),
    'postgres://mesh_gateway:a%2Fb@one,two/increments?a=1',
  );
  t.throws(
    () => parseDatabaseUrl('postgres://u@one/x?target_session_attrs=standby'),
    /target_session_attrs in DATABASE_URL is standby: read-write, primary and any are known/,
  );
  t.end();
});

await t.test('sslmode=verify-full takes the certificate of the right authority only', async (t) => {
  const servers = await startServers(t);
  const folder = join(servers.folder, 'certificates');
  const { caFile, certFile, keyFile } = makeCertificates(folder);
  const strangers = makeCertificates(join(servers.folder, 'strangers'));
  // PostgreSQL takes a key only from its own user or from root.
  const { uid, gid } = statSync(join(servers.folder, 'postgres'));
  chownSync(keyFile, uid, gid);
  chmodSync(keyFile, 0o600);
  const settings = { ssl: 'on', ssl_cert_file: certFile, ssl_key_file: keyFile };
  for (const [name, value] of Object.entries(settings)) {
    await sql`alter system set ${sql.raw(name)} = ${sql.lit(value)}`.execute(servers.database);
  }
  await sql`select pg_reload_conf()`.execute(servers.database);

  const url = (authority: string) =>
    `${servers.urls.counterDatabase}?sslmode=verify-full&sslrootcert=${authority}`;
  t.equal(await isEncrypted(t, url(caFile)), true);
  await t.rejects(isEncrypted(t, url(strangers.caFile)), /certificate/);
});

async function isEncrypted(t: Test, url: string): Promise<boolean> {
  const database = openDatabase(url, {
    name: 'test',
    connectionsMax: 1,
    queryTimeoutMs: 5_000,
    onBrokenConnection: () => undefined,
  });
  t.teardown(() => database.destroy());
  const { rows } = await sql<{
    ssl: boolean;
  }>`select ssl from pg_stat_ssl where pid = pg_backend_pid()`.execute(database);
  return rows[0]?.ssl ?? false;
}
