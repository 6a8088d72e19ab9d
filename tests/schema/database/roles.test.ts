import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Client } from 'pg';
import t, { type Test } from 'tap';
import { prune } from '../../../counter/maintenance/prune.ts';
import { generatePassword } from '../../../mesh/files/generate-password.ts';
import { withDatabaseUser } from '../../../schema/database/database-url.ts';
import { migrate } from '../../../schema/database/migrate.ts';
import { DEFAULT_SCHEMA, OWN_SERVER_PREFIX } from '../../../schema/database/database-names.ts';
import {
  connectionLimits,
  DATABASE_ROLES,
  roleSettings,
} from '../../../schema/database/role-settings.ts';
import { OWNER, setUpServer } from '../../../schema/database/set-up-server.ts';
import { send } from '../../support/load.ts';
import { PASSWORDS } from '../../support/passwords.ts';
import { makeRoles } from '../../support/postgres-template.ts';
import { startServers, type Servers } from '../../support/servers.ts';
import { launchService, startCounter, startGateway } from '../../support/services.ts';
import { until } from '../../support/until.ts';
import { ask, inDatabase, startBarePostgres } from './bare-postgres.ts';

// What somebody could do who holds the password of a role.

const TABLES = [
  'increments',
  'ledger',
  'idempotency_keys',
  'dead_letters',
  'streams',
  'cleared_counters',
] as const;
const WRITES = ['insert', 'update', 'delete'] as const;
const NOT_ALLOWED = '42501';
/** max_connections is 100, of which PostgreSQL reserves three. */
const LIMITS = connectionLimits(97);

/** What each role may write. */
const MAY_WRITE: Record<string, string[]> = {
  mesh_gateway: [],
  mesh_reader: [],
  mesh_counter: [
    ...WRITES.flatMap((verb) =>
      ['increments', 'ledger', 'idempotency_keys'].map((table) => `${verb} ${table}`),
    ),
    'insert cleared_counters',
    'insert dead_letters',
    'delete dead_letters',
    'insert streams',
    'update streams',
  ],
};

await t.test('no role can do more than its work', async (t) => {
  const servers = await startServers(t, { ownPostgres: true });
  const { urls } = servers;
  const superuserUrl = servers.postgres.url;
  await ask(superuserUrl, `insert into increments (key, value) values ('${randomUUID()}', 5)`);
  const before = await readState(superuserUrl);
  const roles = [urls.gatewayDatabase, urls.counterDatabase, urls.readerDatabase];
  for (const url of roles) {
    const role = new URL(url).username;
    const attacks = [...attacksOnServer(role), ...attacksOnTables(role)];
    for (const attack of attacks) {
      const code = await attempt(url, attack);
      t.equal(code, NOT_ALLOWED, `${role}: ${attack}`);
    }
    // PostgreSQL only warns that these grant nothing.
    for (const table of TABLES) await attempt(url, `grant all on ${table} to ${role}`);
    for (const database of ['postgres', 'template1']) {
      const code = await attempt(inDatabase(url, database), 'select 1');
      t.equal(code, NOT_ALLOWED, `${role}: the database ${database}`);
    }
    t.strictSame(await readState(superuserUrl), before, `${role}: nothing has changed`);
  }
});

await t.test('no role can take the connections of the others', async (t) => {
  const servers = await startServers(t, { ownPostgres: true });
  const { urls } = servers;
  const taken = await connectAll(t, urls.gatewayDatabase);
  const gateway = await startGateway(t, servers);
  t.equal(taken, LIMITS.gateway, 'no more than its limit');
  t.equal(await connectAll(t, urls.readerDatabase), LIMITS.reader);

  const counter = await startCounter(t, servers);
  t.ok(counter.log.some(({ msg }) => msg === 'the counter is ready'));
  const answer = await send(`${gateway.url}/counters/${randomUUID()}`);
  t.equal(answer.status, 503, 'a read has to wait for a connection');
  t.match(JSON.parse(answer.body), { code: 'database-away' });
  const warnings = () => gateway.log.filter(({ level }) => level === 40).map(({ msg }) => msg);
  await until('a warning that says why', warnings, (lines) =>
    lines.some((line) => /too many connections for role "mesh_gateway"; run fewer/.test(line)),
  );

  t.ok((await connectAll(t, urls.counterDatabase)) > 20, 'all the rest of the counters');
  await t.resolves(ask(urls.ownerDatabase, 'select 1'), 'there is room for the owner');
});

await t.test('what a role stores for itself is not what a service runs with', async (t) => {
  const servers = await startServers(t, { ownPostgres: true });
  const { urls } = servers;
  await ask(
    urls.gatewayDatabase,
    'set default_transaction_read_only = off',
    'alter role mesh_gateway set default_transaction_read_only = off',
    'alter role mesh_gateway set statement_timeout = 0',
    'alter role mesh_gateway in database increments set statement_timeout = 0',
  );
  await ask(urls.counterDatabase, 'alter role mesh_counter set synchronous_commit = off');

  const counter = await launchService(t, 'counter', {
    NATS_URL: servers.urls.nats.counter,
    DATABASE_URL: urls.counterDatabase,
  });
  await until('a counter service whose commits are on disk', () =>
    counter.log.some(({ msg }) => msg === 'the counter is ready'),
  );

  const gateway = await startGateway(t, servers);
  const lock = new Client({ connectionString: urls.ownerDatabase });
  await lock.connect();
  t.teardown(() => lock.end());
  await lock.query('begin');
  await lock.query('lock table increments');
  t.equal((await send(`${gateway.url}/counters/${randomUUID()}`)).status, 503);
  await until(
    'the end of a read that waits for a lock',
    () =>
      ask(
        servers.postgres.url,
        `select from pg_stat_activity where usename = 'mesh_gateway' and wait_event_type = 'Lock'`,
      ),
    ({ length }) => length === 0,
    5_000,
  );
  await lock.query('rollback');

  await ask(urls.ownerDatabase, 'grant delete, update (value) on increments to mesh_gateway');
  await makeRoles(servers.postgres.url);
  for (const verb of ['delete from increments', 'update increments set value = 0']) {
    t.equal(await attempt(urls.gatewayDatabase, verb), NOT_ALLOWED, `${verb}: granted by hand`);
  }
  for (const role of DATABASE_ROLES) {
    const settings = roleSettings(role, DEFAULT_SCHEMA);
    const stored = await ask(
      servers.postgres.url,
      `select unnest(setconfig) as one from pg_db_role_setting
      where setrole = 'mesh_${role}'::regrole`,
    );
    const own = stored.map(({ one }) => String(one)).filter((one) => !one.startsWith('temp_file'));
    const expected = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
    t.strictSame(own.toSorted(), expected.toSorted(), `${role}: provisioning repairs it`);
  }
});

await t.test('no role that may not write can stop migrations or pruning', async (t) => {
  const servers = await startServers(t, { ownPostgres: true });
  const incarnation = 1_800_000_000_000;
  const now = Date.UTC(2020, 0, 10);
  await servers.database
    .insertInto('streams')
    .values({ incarnation: String(incarnation), pruned_through: '0' })
    .execute();
  await ask(
    servers.postgres.url,
    `insert into idempotency_keys values ('${randomUUID()}', '${randomUUID()}', '2019-01-01')`,
  );
  for (const url of [servers.urls.gatewayDatabase, servers.urls.readerDatabase]) {
    const client = new Client({ connectionString: url });
    await client.connect();
    t.teardown(() => client.end());
    // Kysely's lock and those of earlier versions; and all that reading allows.
    for (const id of ['3853314791062309107', '4711001', '4711002']) {
      await client.query(`select pg_try_advisory_lock(${id})`);
    }
    await client.query('begin');
    await client.query('lock table increments in access share mode');
  }
  const startedAt = performance.now();
  await t.resolves(makeRoles(servers.postgres.url), 'a migration');
  t.ok(performance.now() - startedAt < 10_000, 'without a wait');
  const stream = { incarnation, firstSequence: 1, lastSequence: 0, messages: 0 };
  const pruned = await prune(
    servers.database,
    { ...stream, unsettledSinceMs: now },
    { idempotencyKeptMs: 86_400_000 },
  );
  t.strictSame(pruned, { messages: 0, keys: 1 });
});

await t.test('no password is in the log of PostgreSQL, and each lets its role in', async (t) => {
  const server = await startBarePostgres(t, ['log_statement=all', 'log_min_duration_statement=0']);
  const superuserUrl = server.url;
  const passwords = {
    [OWNER]: generatePassword(),
    mesh_gateway: generatePassword(),
    // By hand, from the environment.
    mesh_counter: `p\u00e4ss\u00a0w\u00ado\u0308rd ' \\ ${generatePassword()}`,
    mesh_reader: generatePassword(),
  };
  await setUpServer({ superuserUrl, ownerPassword: passwords[OWNER] });
  await migrate({
    ownerUrl: withDatabaseUser(superuserUrl, OWNER, passwords[OWNER]),
    passwords: {
      gateway: passwords.mesh_gateway,
      counter: passwords.mesh_counter,
      reader: passwords.mesh_reader,
    },
    rolePrefix: OWN_SERVER_PREFIX,
  });
  const log = readFileSync(server.logFile, 'utf8');
  t.match(log, /alter role "mesh_gateway" login password 'SCRAM-SHA-256\$4096:/);
  for (const [role, password] of Object.entries(passwords)) {
    t.notOk(log.includes(password.slice(-20)), role);
    await t.resolves(ask(withDatabaseUser(superuserUrl, role, password), 'select 1'), role);
  }
});

await t.test("a superuser's password that is wrong is said, and changes nothing", async (t) => {
  const servers = await startServers(t, { ownPostgres: true });
  const superuserUrl = withDatabaseUser(servers.postgres.url, 'postgres', 'wrong');
  const before = await readState(servers.postgres.url);
  await t.rejects(setUpServer({ superuserUrl, ownerPassword: PASSWORDS.owner }), {
    message: 'password authentication failed for user "postgres"',
  });
  t.strictSame(await readState(servers.postgres.url), before);
});

await t.test('an owner that is no superuser migrates a database of its own', async (t) => {
  const server = await startBarePostgres(t);
  const all = inDatabase(server.url, 'postgres');
  await ask(all, "create role plain login createrole password 'plain'");
  await ask(all, 'create database theirs owner plain');
  const url = withDatabaseUser(inDatabase(server.url, 'theirs'), 'plain', 'plain');
  const said: string[] = [];
  const options = { ownerUrl: url, passwords: { gateway: 'gw', counter: 'ct' } };
  for (const _ of [1, 2]) await migrate({ ...options, say: (line) => void said.push(line) });
  t.match(
    said[0],
    /^no limit for temporary files of mesh_theirs_counter, mesh_theirs_gateway, which only a/,
  );
  t.equal(new Set(said).size, 1, 'and nothing else');
  const gateway = withDatabaseUser(url, 'mesh_theirs_gateway', 'gw');
  t.strictSame(await ask(gateway, 'table increments'), []);
  t.equal(await attempt(gateway, 'create temp table mine ()'), NOT_ALLOWED);

  await t.test('and is told what only the owner of the database can revoke', async (t) => {
    await ask(all, 'alter database theirs owner to postgres');
    await ask(
      inDatabase(server.url, 'theirs'),
      'alter schema increment_mesh owner to postgres',
      'grant create, usage on schema increment_mesh to plain, public',
    );
    await ask(inDatabase(server.url, 'theirs'), 'grant temporary on database theirs to public');
    said.length = 0;
    await migrate({ ...options, say: (line) => void said.push(line) });
    t.match(said, [
      /^every role may make temporary tables in theirs, .* revoke temporary on database "theirs"/,
      /^every role may make tables in the schema increment_mesh, .*: revoke create on schema increment/,
      /^no limit for temporary files/,
    ]);
  });

  await t.test('or a superuser does all of it', async (t) => {
    said.length = 0;
    const ownerUrl = inDatabase(server.url, 'theirs');
    await migrate({ ...options, ownerUrl, say: (line) => void said.push(line) });
    t.strictSame(said, []);
  });
});

function attacksOnServer(role: string): string[] {
  const other = role === 'mesh_reader' ? 'mesh_gateway' : 'mesh_reader';
  return [
    'create temp table mine ()',
    'create table mine ()',
    'create table public.mine ()',
    'select 1 as one into public.mine',
    'create schema mine',
    "create function public.mine() returns integer language sql as 'select 1'",
    'create extension file_fdw',
    'create publication mine for all tables',
    'create database mine',
    'create role mine',
    'alter system set fsync = off',
    'alter database increments set default_transaction_read_only = on',
    'alter database increments rename to mine',
    'select * from pg_authid',
    'select * from pg_shadow',
    "select pg_read_file('postgresql.conf')",
    "select pg_ls_dir('.')",
    "copy increments to '/tmp/mine'",
    "copy increments to program 'cat'",
    'select pg_reload_conf()',
    'select pg_switch_wal()',
    'checkpoint',
    "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'postgres'",
    'set role owner',
    'set role postgres',
    `set role ${other}`,
    `grant owner to ${role}`,
    `grant ${other} to ${role}`,
    `alter role ${role} connection limit -1`,
    `alter role ${role} superuser`,
    `alter role ${role} createrole`,
    `alter role ${other} password 'mine'`,
    `alter role ${other} set statement_timeout = 1`,
    'alter role all set statement_timeout = 1',
    'set temp_file_limit = -1',
    'set session_replication_role = replica',
    `alter role ${role} set temp_file_limit = -1`,
  ];
}

function attacksOnTables(role: string): string[] {
  const column = { increments: 'key', streams: 'incarnation', cleared_counters: 'key' } as Record<
    string,
    string
  >;
  const allowed = MAY_WRITE[role]!;
  const may = (verb: string, table: string) => allowed.includes(`${verb} ${table}`);
  const attacks = TABLES.flatMap((table) => {
    const statements = {
      insert: `insert into ${table} default values`,
      update: `update ${table} set ${column[table] ?? 'stored_at'} = null`,
      delete: `delete from ${table}`,
    };
    const writes = WRITES.filter((verb) => !may(verb, table)).map((verb) => statements[verb]);
    return [
      ...writes,
      `truncate ${table}`,
      `drop table ${table}`,
      `alter table ${table} add column mine integer`,
      `create index on ${table} (${column[table] ?? 'stored_at'})`,
    ];
  });
  if (role === 'mesh_counter') return attacks;
  const modes = ['row exclusive', 'share update exclusive', 'share', 'access exclusive'];
  return [
    ...attacks,
    ...TABLES.flatMap((table) => modes.map((mode) => `lock table ${table} in ${mode} mode nowait`)),
    'select from increments for key share',
    'lock table kysely_migration_lock in access share mode nowait',
    'table idempotency_keys',
    'table dead_letters',
  ];
}

/** @returns the SQLSTATE of what failed. */
async function attempt(url: string, statement: string): Promise<string | undefined> {
  const settings = ['set default_transaction_read_only = off', "set statement_timeout = '5s'"];
  const isLock = statement.startsWith('lock');
  try {
    await ask(url, ...settings, ...(isLock ? ['begin'] : []), statement);
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code;
  }
}

/** Opens connections until one is refused, and returns how many are open then. */
async function connectAll(t: Test, url: string): Promise<number> {
  for (let open = 0; ; open++) {
    const client = new Client({ connectionString: url });
    client.on('error', () => undefined);
    try {
      await client.connect();
      t.teardown(() => client.end());
    } catch (error) {
      t.equal((error as { code?: string }).code, '53300', 'it is refused as one too many');
      return open;
    }
  }
}

/** Everything that an attack could leave behind. */
async function readState(superuserUrl: Servers['urls']['ownerDatabase']): Promise<unknown> {
  const queries = [
    'select key, value from increments',
    ...TABLES.map((table) => `select count(*) from ${table}`),
    'select oid::regclass::text as name, relowner, relacl::text, relnatts from pg_class order by 1',
    'select count(*) from pg_proc',
    'select nspname, nspacl::text from pg_namespace order by 1',
    'select datname, datdba, datacl::text from pg_database order by 1',
    'select rolname, rolsuper, rolcreaterole, rolconnlimit, rolpassword from pg_authid order by 1',
    'select roleid, member from pg_auth_members order by 1, 2',
    'select setdatabase, setrole, setconfig from pg_db_role_setting order by 1, 2',
    'select count(*) from pg_extension',
    'select count(*) from pg_publication',
    "select name, setting from pg_settings where source = 'configuration file' order by 1",
  ];
  const state: unknown[] = [];
  for (const query of queries) state.push(await ask(superuserUrl, query));
  return state;
}
