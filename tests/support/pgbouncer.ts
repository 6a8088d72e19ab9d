import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { fetchDebianPackages } from '../../mesh/servers/debian-package.ts';
import { spawnDetached, stopProcess } from '../../mesh/servers/detached-process.ts';
import { openLogFile, readLogTail } from '../../mesh/servers/log-file.ts';
import { findFreePort } from '../../mesh/servers/ports.ts';
import { findPostgresAccount } from '../../mesh/servers/postgres-account.ts';
import { untilReady } from '../../mesh/servers/until-ready.ts';
import { parseDatabaseUrl } from '../../schema/database/database-url.ts';
import { endWithUs } from './end-with-us.ts';

const CACHE = fileURLToPath(new URL('../../.cache', import.meta.url));
const PACKAGES = ['pgbouncer', 'libc-ares2', 'libevent-2.1-7'];

/** Where Debian's PgBouncer is unpacked; undefined where it can't be had. */
export async function findPgBouncer(t: Test): Promise<string | undefined> {
  const folder = join(CACHE, `pgbouncer-${process.arch}`);
  if (existsSync(folder)) return folder;
  try {
    const suite = /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
    await fetchDebianPackages(PACKAGES, suite ?? 'stable', folder);
    return folder;
  } catch (error) {
    t.comment(`no PgBouncer: ${(error as Error).message}`);
    return undefined;
  }
}

/**
 * Starts PgBouncer, which gives each transaction whatever session is free.
 *
 * @param options.users who may log in, with their passwords.
 * @returns its port.
 */
export async function startPgBouncer(
  t: Test,
  options: { program: string; folder: string; url: string; users: Record<string, string> },
): Promise<number> {
  const { program, url, users } = options;
  const { host, port: serverPort } = parseDatabaseUrl(url).servers[0]!;
  const port = await findFreePort();
  const folder = join(options.folder, `pgbouncer-${port}`);
  const file = (name: string) => join(folder, name);
  mkdirSync(folder);
  const list = Object.entries(users).map(([user, password]) => `"${user}" "${password}"\n`);
  writeFileSync(file('users.txt'), list.join(''));
  writeFileSync(
    file('pgbouncer.ini'),
    `[databases]
* = host=${host} port=${serverPort}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${file('users.txt')}
pool_mode = transaction
default_pool_size = 2
`,
  );
  const account = await findPostgresAccount();
  chmodSync(folder, 0o755);
  if (account !== undefined) {
    for (const name of ['users.txt', 'pgbouncer.ini'])
      chownSync(file(name), account.uid, account.gid);
  }
  const library = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
  const log = openLogFile(file('log'));
  const pooler = endWithUs(
    await spawnDetached(join(program, 'usr/sbin/pgbouncer'), [file('pgbouncer.ini')], {
      ...account,
      stdio: ['ignore', log, log],
      env: { LD_LIBRARY_PATH: join(program, 'usr/lib', library) },
    }),
  );
  t.teardown(() => stopProcess(pooler, [{ signal: 'SIGKILL', waitMs: 5_000 }]));
  await untilReady(pooler, () => isListening(port), {
    name: 'PgBouncer',
    deadlineMs: 10_000,
    readLog: () => readLogTail(file('log')),
  });
  return port;
}

/** Asked by connecting: whoever tries to listen on the port instead may take it. */
async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
