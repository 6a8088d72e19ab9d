import { chownSync, chmodSync, statSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { sql } from 'kysely';
import t, { type Test } from 'tap';
import { findFreePort } from '../../../mesh/servers/ports.ts';
import { openDatabase } from '../../../schema/database/database.ts';
import { formatDatabaseUrl, parseDatabaseUrl } from '../../../schema/database/database-url.ts';
import { describeDatabaseError } from '../../../schema/database/describe-database-error.ts';
import { makeCertificates } from '../../support/certificates.ts';
import { startServers } from '../../support/servers.ts';

await t.test('sslmode means what it means to libpq', async (t) => {
  const servers = await startServers(t, {
    postgresSettings: ['unix_socket_directories=/tmp', 'listen_addresses=127.0.0.1,127.0.0.2'],
  });
  const folder = join(servers.folder, 'certificates');
  const { caFile, certFile, keyFile } = makeCertificates(folder);
  const strangers = makeCertificates(join(servers.folder, 'strangers'));
  const connect = (parameters: string, host?: string) => {
    const { servers: all, ...address } = parseDatabaseUrl(servers.urls.counterDatabase);
    const there = all.map(({ port }) => ({ host: host ?? '127.0.0.1', port }));
    const url = formatDatabaseUrl({ ...address, servers: there });
    return isEncrypted(t, `${url}?${parameters}`);
  };
  const isLeft = (reason: RegExp) => (error: Error) => {
    const line = describeDatabaseError(error);
    if (!reason.test(line)) throw new Error(line);
  };
  const refuses = (parameters: string, reason: RegExp, host?: string) =>
    t.resolves(
      connect(parameters, host).then(
        () => Promise.reject(new Error('it connects')),
        isLeft(reason),
      ),
      `${parameters} is refused`,
    );

  for (const mode of ['disable', 'allow', 'prefer']) {
    t.equal(await connect(`sslmode=${mode}`), false, `${mode}, at a server that encrypts nothing`);
  }
  await refuses('sslmode=require', /does not support SSL/);
  t.equal(await connect('sslmode=require', '/tmp'), false, 'a Unix socket is not encrypted');

  // PostgreSQL takes a key only from its own user or from root.
  const data = join(servers.folder, 'postgres');
  const { uid, gid } = statSync(data);
  chownSync(keyFile, uid, gid);
  chmodSync(keyFile, 0o600);
  const settings = { ssl: 'on', ssl_cert_file: certFile, ssl_key_file: keyFile };
  for (const [name, value] of Object.entries(settings)) {
    await sql`alter system set ${sql.raw(name)} = ${sql.lit(value)}`.execute(servers.database);
  }
  await sql`select pg_reload_conf()`.execute(servers.database);
  for (const mode of ['disable', 'allow']) t.equal(await connect(`sslmode=${mode}`), false, mode);
  for (const mode of ['prefer', 'require', 'require&sslnegotiation=direct']) {
    t.equal(await connect(`sslmode=${mode}`), true, mode);
  }
  for (const mode of ['require', 'verify-ca', 'verify-full']) {
    t.equal(await connect(`sslmode=${mode}&sslrootcert=${caFile}`), true, `${mode} with its CA`);
    await refuses(`sslmode=${mode}&sslrootcert=${strangers.caFile}`, /certificate.*sslrootcert/);
  }
  t.equal(await connect(`sslmode=verify-ca&sslrootcert=${caFile}`, '127.0.0.2'), true);
  await refuses(
    `sslmode=verify-full&sslrootcert=${caFile}`,
    /127\.0\.0\.2.*verify-ca/,
    '127.0.0.2',
  );
  await refuses('sslrootcert=system', /certificate.*sslrootcert/);

  // Only encrypted connections, with a client's certificate in place of the password.
  await sql`alter system set ssl_ca_file = ${sql.lit(caFile)}`.execute(servers.database);
  const rules =
    'local all all trust\nhostssl all mesh_counter all cert map=any\nhost all postgres all trust\n';
  writeFileSync(join(data, 'pg_hba.conf'), rules);
  writeFileSync(join(data, 'pg_ident.conf'), 'any mesh mesh_counter\n');
  await sql`select pg_reload_conf()`.execute(servers.database);
  const files = `sslcert=${certFile}&sslkey=${keyFile}`;
  t.equal(await connect(`sslmode=require&${files}`), true, 'with a certificate of ours');
  await refuses('sslmode=disable', /no encryption.*sslmode/);
  await refuses('sslmode=require', /certificate/);
});

await t.test('a URL without a password is refused where the server asks for one', async (t) => {
  const servers = await startServers(t);
  const url = formatDatabaseUrl({
    ...parseDatabaseUrl(servers.urls.counterDatabase),
    password: undefined,
  });
  await t.rejects(isEncrypted(t, url), /asks for a password, and DATABASE_URL has none/);
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
