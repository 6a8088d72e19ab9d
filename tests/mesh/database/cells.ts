import { execFile } from 'node:child_process';
import { chmodSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Test } from 'tap';
import { permissionsOf } from '../../../nats/permissions.ts';
import { DEFAULT_SCHEMA, roleNames } from '../../../schema/database/database-names.ts';
import {
  formatDatabaseUrl,
  parseDatabaseUrl,
  withDatabaseUser,
} from '../../../schema/database/database-url.ts';
import { quoteForShell } from '../../../schema/quote-for-shell.ts';
import { startServer } from '../../nats/bare-server.ts';
import {
  ask,
  inDatabase,
  startBarePostgres,
  type BarePostgres,
} from '../../schema/database/bare-postgres.ts';
import { countTenBy } from '../../support/count-ten.ts';
import { makeFolder } from '../../support/folders.ts';
import { makeFormerTables } from '../../support/former-tables.ts';
import { makeAccount, writeSecrets } from '../../support/nats-accounts.ts';
import { findPgBouncer, startPgBouncer } from '../../support/pgbouncer.ts';
import { POSTGRES_VERSIONS } from '../../support/postgres-versions.ts';
import { runCommand } from '../cli/run-command.ts';
import { makeDataDir, startMesh, stopMesh } from '../mesh-process.ts';

/** What a mesh may find at other people's: every pair of servers, as each kind of user of them has it. */
export interface Cell {
  version: string;
  database: keyof typeof DATABASES;
  nats: keyof typeof BROKERS;
  /** The database has tables of an earlier version, whose roles only one mesh of a server has. */
  isUpgraded?: true;
}

/** Variables of `npm start`. */
type Variables = Record<string, string>;

interface Place {
  /** The superuser's, in the database. */
  url: string;
  name: string;
}

const DATABASES = {
  /** Who owns the database and may make roles. */
  owner: (_: Test, { url }: Place): Promise<Variables> =>
    Promise.resolve({ DATABASE_URL: withDatabaseUser(url, 'plain', 'plain') }),
  /** A DBA has made everything, and the mesh only has the URLs of its services. */
  dba: async (t: Test, place: Place): Promise<Variables> => {
    await runSql(t, place, []);
    return serviceUrls(place.url, place.name);
  },
  /** A DBA has made the roles; the owner, who may make none, and the services come through PgBouncer. */
  pooler: async (t: Test, place: Place): Promise<Variables> => {
    const { url, name } = place;
    await ask(url, `create role "${name}" login password 'owner'`);
    await ask(url, `alter database "${name}" owner to "${name}"`);
    await runSql(t, place, ['--roles-only']);
    const { gateway, counter } = roleNames(`mesh_${name}`);
    const folder = makeFolder(t);
    // Of PostgreSQL's user, where the tests are root's.
    chmodSync(folder, 0o711);
    const port = await startPgBouncer(t, {
      program: (await findPgBouncer(t))!,
      folder,
      url,
      users: { [name]: 'owner', [gateway]: 'gw', [counter]: 'ct' },
    });
    const through = formatDatabaseUrl({
      ...parseDatabaseUrl(url),
      servers: [{ host: '127.0.0.1', port }],
    });
    return {
      ...serviceUrls(through, name),
      DATABASE_URL: withDatabaseUser(through, name, 'owner'),
    };
  },
};

const BROKERS = {
  /** One user, with a password. */
  password: async (t: Test): Promise<Variables> => {
    const users = 'authorization { users: [ { user: mesh, password: secret } ] }';
    const url = await startServer(t, makeFolder(t), users);
    return { NATS_URL: url.replace('//', '//mesh:secret@') };
  },
  /** An account of an operator's, with a credentials file for each role. */
  credentials: async (t: Test): Promise<Variables> => {
    const folder = makeFolder(t);
    const account = makeAccount(256 * 1024 * 1024);
    for (const role of ['gateway', 'counter', 'provisioner', 'inspector'] as const)
      writeSecrets(folder, { [`${role}.creds`]: account.makeUser(permissionsOf(role)) });
    const url = await startServer(t, folder, account.config);
    return { NATS_URL: url, NATS_CREDS_FILE: join(folder, '{role}.creds') };
  },
};

export const ALL_CELLS: Cell[] = [
  ...['14', '18'].flatMap((version) =>
    (['owner', 'dba', 'pooler'] as const).flatMap((database) =>
      (['password', 'credentials'] as const).map((nats) => ({ version, database, nats })),
    ),
  ),
  ...['14', '15', '18'].map((version) => upgraded(version)),
];

export function upgraded(version: string): Cell {
  return { version, database: 'owner', nats: 'password', isUpgraded: true };
}

/** Each cell is a mesh of `npm start`, which counts ten increments and balances. */
export async function checkCells(t: Test, cells: Cell[]): Promise<void> {
  const servers = new Map<string, Promise<BarePostgres | string>>();
  const startVersion = async (version: string) => {
    const binaries = await POSTGRES_VERSIONS[version]!();
    if (typeof binaries === 'string') return binaries;
    const server = await startBarePostgres(t, ['max_connections=300'], binaries);
    await ask(
      inDatabase(server.url, 'postgres'),
      "create role plain login createrole password 'plain'",
    );
    return server;
  };
  // Each waits more than it computes.
  t.jobs = 2;
  const running: Promise<unknown>[] = [];
  for (const [index, cell] of cells.entries()) {
    const { version, database, nats, isUpgraded } = cell;
    const state = isUpgraded === true ? ' of an earlier version' : '';
    const name = `PostgreSQL ${version}, ${database}${state}, NATS by ${nats}`;
    const starting = servers.get(version) ?? startVersion(version);
    servers.set(version, starting);
    const server = await starting;
    const isWithoutPooler = database === 'pooler' && (await findPgBouncer(t)) === undefined;
    const skip = typeof server === 'string' ? server : isWithoutPooler && 'no PgBouncer here';
    const check = async (t: Test) => {
      if (typeof server === 'string') return;
      const startedAt = performance.now();
      await checkCell(t, cell, { server, name: `cell_${index}` });
      t.comment(`${name}: ${((performance.now() - startedAt) / 1_000).toFixed(1)} s`);
    };
    running.push(t.test(name, { skip, buffered: true }, check));
  }
  await Promise.all(running);
}

async function checkCell(
  t: Test,
  { version, database, nats, isUpgraded }: Cell,
  { server, name }: { server: BarePostgres; name: string },
): Promise<void> {
  await ask(inDatabase(server.url, 'postgres'), `create database ${name} owner plain`);
  const place = { url: inDatabase(server.url, name), name };
  if (isUpgraded === true) await makeFormerRows(place.url);
  const environment = {
    ...(await DATABASES[database](t, place)),
    ...(await BROKERS[nats](t)),
    GATEWAYS: '1',
    COUNTERS: '1',
    FLUSH_INTERVAL_MS: '300',
    STREAM_BYTES_MAX: String(64 * 1024 * 1024),
    NATS_SYNC: 'always',
  };
  const dataDir = makeDataDir(t);
  const mesh = await startMesh({ dataDir, environment });
  try {
    await countTenBy(t, `http://127.0.0.1:${mesh.port}`);
    const audit = await runCommand('audit --json', { DATA_DIR: dataDir });
    t.equal(audit.code, 0, audit.error);
    t.match(audit.answer(), { difference: '0' });
    const { readerUrl } = mesh.describe().postgres;
    const [found] = await ask(readerUrl!, "select current_setting('server_version') as version");
    t.match(found?.['version'], new RegExp(`^${version}[.]`));
    if (isUpgraded === true) await checkMovedTables(t, readerUrl!);
  } finally {
    await stopMesh(mesh);
  }
}

async function makeFormerRows(url: string): Promise<void> {
  const ownerUrl = withDatabaseUser(url, 'plain', 'plain');
  await makeFormerTables(ownerUrl, { gateway: 'former', counter: 'former' });
  // A counter, of which a part is carried.
  await ask(
    ownerUrl,
    'insert into increments (key, value) values (gen_random_uuid(), 42)',
    'insert into ledger values (gen_random_uuid(), 1, 2, now(), gen_random_uuid(), 1, 2)',
    'insert into streams (incarnation, pruned_through, carried_total) values (1, 1, 40)',
  );
}

async function checkMovedTables(t: Test, readerUrl: string): Promise<void> {
  t.match(readerUrl, '//mesh_reader:', 'their roles are kept');
  const rows = await ask(
    readerUrl,
    `select value from ${DEFAULT_SCHEMA}.increments order by value`,
  );
  t.strictSame(rows, [{ value: '10' }, { value: '42' }]);
}

function serviceUrls(url: string, name: string): Variables {
  const { gateway, counter } = roleNames(`mesh_${name}`);
  return {
    GATEWAY_DATABASE_URL: withDatabaseUser(url, gateway, 'gw'),
    COUNTER_DATABASE_URL: withDatabaseUser(url, counter, 'ct'),
  };
}

/** As a DBA pastes it, by the machine's psql, if it has one. */
async function runSql(t: Test, { url, name }: Place, options: string[]): Promise<void> {
  const program = [process.execPath, 'mesh/cli/main.ts', 'sql', name, ...options];
  const command = program.map(quoteForShell).join(' ');
  const psql = `psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 ${quoteForShell(url)}`;
  const run = async (line: string) =>
    promisify(execFile)('sh', ['-c', line], {
      cwd: fileURLToPath(new URL('../../..', import.meta.url)),
      env: {
        PATH: process.env['PATH'],
        GATEWAY_DATABASE_PASSWORD: 'gw',
        COUNTER_DATABASE_PASSWORD: 'ct',
      },
    });
  const folders = (process.env['PATH'] ?? '').split(':');
  if (folders.some((folder) => existsSync(join(folder, 'psql')))) {
    const { stderr } = await run(`${command} | ${psql}`);
    t.equal(stderr, '', 'psql has nothing to say');
    return;
  }
  t.comment('no psql here: what it would read is sent by a client');
  await ask(url, (await run(command)).stdout);
}
