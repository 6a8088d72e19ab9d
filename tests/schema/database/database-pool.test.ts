import { chownSync, chmodSync, statSync } from 'node:fs';
import { once } from 'node:events';
import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { sql } from 'kysely';
import t, { type Test } from 'tap';
import { findFreePort } from '../../../mesh/servers/ports.ts';
import { openDatabase } from '../../../schema/database/database.ts';
import { parseDatabaseUrl, withDatabaseUser } from '../../../schema/database/database-url.ts';
import { makeCertificates } from '../../support/certificates.ts';
import { startServers } from '../../support/servers.ts';

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
    /target_session_attrs in DATABASE_URL is standby: it must be read-write, primary or any/,
  );
  t.end();
});

await t.test('sslmode=verify-full takes the certificate of the right authority only', async (t) => {
  const servers = await startServers(t, { ownPostgres: true });
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

await t.test('servers of a list that say nothing are given up within seconds', async (t) => {
  const servers = await startServers(t);
  const there = new URL(servers.urls.counterDatabase);
  const dead = `127.0.0.1:${await findFreePort()}`;
  const silent = await listen(t, () => undefined);
  const stuck = await listen(t, (socket) => passOnUntilAsked(socket, Number(there.port)));
  const connect = async (...hosts: string[]) => {
    const list = new URL(there);
    const url = `${list.href.replace(list.host, hosts.join(','))}?target_session_attrs=read-write`;
    const database = openDatabase(url, {
      name: 'test',
      connectionsMax: 2,
      queryTimeoutMs: 120_000,
      onBrokenConnection: () => undefined,
    });
    const startedAt = performance.now();
    try {
      await sql`select 1`.execute(database);
      return performance.now() - startedAt;
    } finally {
      void database.destroy();
    }
  };
  const spent: Record<string, number> = {};
  for (const [name, first] of Object.entries({ dead, silent, stuck })) {
    spent[name] = await connect(first, there.host);
  }
  t.comment(spent);
  t.ok(spent['dead']! < 1_000, 'one that is not there, at once');
  t.ok(spent['silent']! < 4_000, 'one that takes the connection and says nothing');
  t.ok(spent['stuck']! < 4_000, 'one that lets us in and does not say whether it is the primary');
  await t.rejects(
    connect(dead, silent, stuck),
    /no server of DATABASE_URL is a primary that answers/,
  );
});

async function listen(t: Test, onSocket: (socket: Socket) => void): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    t.teardown(() => socket.destroy());
    onSocket(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Logs in at the real server, and loses every statement. */
function passOnUntilAsked(client: Socket, port: number): void {
  const server = createConnection(port, '127.0.0.1');
  server.on('error', () => undefined).on('close', () => client.destroy());
  server.pipe(client);
  client.on('close', () => server.destroy());
  client.on('data', (data) => {
    const isQuery = data.length > 0 && data[0] === 'Q'.charCodeAt(0);
    if (!isQuery) server.write(data);
  });
}

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
