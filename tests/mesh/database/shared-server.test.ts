import { Client } from 'pg';
import t, { type Test } from 'tap';
import {
  provisionDatabase,
  type ProvisionedUrls,
} from '../../../mesh/database/provision-database.ts';
import { writeSql } from '../../../mesh/database/write-sql.ts';
import {
  defaultRolePrefix,
  DEFAULT_SCHEMA,
  roleNames,
} from '../../../schema/database/database-names.ts';
import { withDatabaseUser } from '../../../schema/database/database-url.ts';
import { ask, inDatabase, startBarePostgres } from '../../schema/database/bare-postgres.ts';
import { countTen } from '../../support/count-ten.ts';
import { makeFormerTables } from '../../support/former-tables.ts';
import { startServers } from '../../support/servers.ts';

// A PostgreSQL that belongs to others, who have databases, tables and roles of their own on it.

const server = await startBarePostgres(t);
const all = inDatabase(server.url, 'postgres');
await ask(all, "create role plain login createrole password 'plain'");
const PASSWORDS = { gateway: 'gw', counter: 'ct' };

/** A database, and its owner's URL. */
async function makeDatabase(name: string, owner = 'plain'): Promise<string> {
  await ask(all, `create database "${name}" owner ${owner}`);
  return withDatabaseUser(inDatabase(server.url, name), owner, owner);
}

function provision(ownerUrl: string, rolePrefix?: string) {
  return provisionDatabase({ ownerUrl, rolePrefix, serviceUrls: undefined, passwords: PASSWORDS });
}

/** Message and number of what keeps a database from being used. */
async function findProblems(provisioning: Promise<unknown>): Promise<string[]> {
  const error: unknown = await provisioning.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return (
    (error as { problems?: string[] } | undefined)?.problems ?? [`not refused: ${String(error)}`]
  );
}

function readRoles(): Promise<unknown> {
  return ask(
    all,
    `select rolname, rolpassword, rolconnlimit, shobj_description(oid, 'pg_authid') as comment
    from pg_authid order by rolname`,
  );
}

await t.test('meshes in two databases of one server count side by side', async (t) => {
  const urls: ProvisionedUrls[] = [];
  for (const name of ['one', 'Two, in capitals'])
    urls.push(await provision(await makeDatabase(name)));
  t.match(urls[0]?.counter, '//mesh_one_counter:');
  t.match(urls[1]?.counter, /\/\/mesh_two_in_capitals_[0-9a-f]{8}_counter:/);
  // The first one's services get theirs after the second one has its roles.
  const count = async (each: ProvisionedUrls) =>
    countTen(t, await startServers(t, { flushIntervalMs: 300 }), each);
  await Promise.all(urls.map(count));

  await t.test('and none takes the roles of the other', async (t) => {
    const before = await readRoles();
    const problems = await findProblems(provision(await makeDatabase('three'), 'mesh_one'));
    t.match(problems, [
      /^the owner plain: the role mesh_one_counter is of "increment-mesh: schema increment_mesh of database one", and its .* DATABASE_ROLE_PREFIX/,
      /^the owner plain: the role mesh_one_gateway is of/,
    ]);
    await ask(all, "create role mesh_four_gateway login password 'theirs'");
    const [problem] = await findProblems(provision(await makeDatabase('four')));
    t.match(problem, /the role mesh_four_gateway was not made by this mesh/);
    await ask(all, 'drop role mesh_four_gateway');
    t.strictSame(await readRoles(), before);
  });
});

await t.test("another application's tables of the same names stay as they are", async (t) => {
  const ownerUrl = await makeDatabase('theirs');
  const read = () =>
    ask(
      ownerUrl,
      `select relname, relowner, relacl::text, relnatts from pg_class
      where relnamespace = 'public'::regnamespace order by relname`,
    );
  await ask(
    ownerUrl,
    'create table ledger (id integer primary key, amount numeric)',
    'create table increments (key text)',
    'create table kysely_migration (name varchar(255) primary key, timestamp varchar(255) not null)',
    "insert into kysely_migration values ('001_users', 'then')",
    'create table kysely_migration_lock (id varchar(255) primary key, is_locked integer)',
    'grant temporary on database theirs to public',
  );
  const before = await read();
  await provision(ownerUrl);
  t.strictSame(await read(), before);
  t.strictSame(await ask(ownerUrl, 'table public.kysely_migration'), [
    { name: '001_users', timestamp: 'then' },
  ]);
  t.strictSame(
    await ask(ownerUrl, "select has_database_privilege('public', 'theirs', 'temporary') as may"),
    [{ may: true }],
    'what the other application may need is not revoked',
  );
});

await t.test(
  'what sql prints is enough for services without any right to make things',
  async (t) => {
    await makeDatabase('dba', 'postgres').catch(() => undefined);
    const database = inDatabase(server.url, 'dba');
    await ask(
      database,
      'revoke connect on database dba from public',
      'revoke usage on schema public from public',
    );
    const prefix = defaultRolePrefix('dba', DEFAULT_SCHEMA);
    const names = roleNames(prefix);
    const write = (rolesOnly: boolean) =>
      writeSql({ database: 'dba', schema: DEFAULT_SCHEMA, names, passwords: PASSWORDS, rolesOnly });
    const text = await write(false);
    t.notMatch(text, /'(gw|ct)'/, 'no password stands in it');
    // As psql sends it, and once more, as after an upgrade.
    for (const _ of [1, 2]) await ask(database, text);
    const serviceUrls = {
      gateway: withDatabaseUser(database, names.gateway, 'gw'),
      counter: withDatabaseUser(database, names.counter, 'ct'),
    };
    const urls = await provisionDatabase({ ownerUrl: undefined, serviceUrls, passwords: {} });
    t.strictSame(urls, { ...serviceUrls, reader: serviceUrls.gateway });
    // What migrations would make is there: as a superuser, provisioning finds nothing to do.
    await provisionDatabase({ ownerUrl: database, serviceUrls, passwords: {} });

    await t.test('and warns of roles of an earlier version', async (t) => {
      const url = await makeDatabase('former');
      await makeFormerTables(url, { gateway: 'former', counter: 'former' });
      const warningsOf = async (prefix: string) => {
        const client = new Client({ connectionString: inDatabase(server.url, 'former') });
        const warnings: (string | undefined)[] = [];
        client.on('notice', ({ message, severity }) => {
          if (severity === 'WARNING') warnings.push(message);
        });
        await client.connect();
        const options = { database: 'former', schema: DEFAULT_SCHEMA, passwords: {} };
        const text = await writeSql({ ...options, names: roleNames(prefix), rolesOnly: false });
        await client.query(text.replace(/^commit;$/m, 'rollback;')).finally(() => client.end());
        return warnings;
      };
      t.match(await warningsOf('mesh_former'), [/earlier version.*DATABASE_ROLE_PREFIX=mesh$/]);
      t.strictSame(await warningsOf('mesh'), []);
    });

    await t.test('and moves the tables of an earlier version, with what they count', async (t) => {
      const url = await makeDatabase('moved');
      await makeFormerTables(url, { gateway: 'former', counter: 'former' });
      const database = inDatabase(server.url, 'moved');
      await ask(
        database,
        'insert into public.increments (key, value) values (gen_random_uuid(), 7)',
      );
      const text = await writeSql({
        database: 'moved',
        schema: DEFAULT_SCHEMA,
        names: roleNames('mesh'),
        passwords: PASSWORDS,
        rolesOnly: false,
      });
      for (const _ of [1, 2]) await ask(database, text);
      const counts = `select value::integer from ${DEFAULT_SCHEMA}.increments`;
      t.strictSame(await ask(database, counts), [{ value: 7 }]);
      t.strictSame(await ask(database, "select to_regclass('public.increments') as left"), [
        { left: null },
      ]);
      const serviceUrls = {
        gateway: withDatabaseUser(database, 'mesh_gateway', 'gw'),
        counter: withDatabaseUser(database, 'mesh_counter', 'ct'),
      };
      await t.resolves(provisionDatabase({ ownerUrl: undefined, serviceUrls, passwords: {} }));
    });

    await t.test('and sql --roles-only for an owner who may make no roles', async (t) => {
      await ask(all, "create role humble login password 'humble'");
      const ownerUrl = await makeDatabase('humble', 'humble');
      await ask(
        inDatabase(server.url, 'humble'),
        await writeSql({
          database: 'humble',
          schema: DEFAULT_SCHEMA,
          names: roleNames('humble'),
          passwords: PASSWORDS,
          rolesOnly: true,
        }),
      );
      const made = {
        gateway: withDatabaseUser(ownerUrl, 'humble_gateway', 'gw'),
        counter: withDatabaseUser(ownerUrl, 'humble_counter', 'ct'),
      };
      await t.resolves(provisionDatabase({ ownerUrl, serviceUrls: made, passwords: {} }));
    });
  },
);

await t.test(
  'all that keeps a database from being used is said before it is changed',
  async (t) => {
    await ask(all, "create role guest login password 'guest'");
    const ownerUrl = withDatabaseUser(await makeDatabase('guarded', 'postgres'), 'guest', 'guest');
    const problems = await findProblems(
      provisionDatabase({
        ownerUrl,
        serviceUrls: {
          gateway: withDatabaseUser(ownerUrl, 'guest', 'wrong'),
          counter: withDatabaseUser(ownerUrl, 'nobody', 'x'),
        },
        passwords: {},
      }),
    );
    t.match(problems, [
      /^the owner guest: permission denied for database guarded \(42501\): in it, create schema/,
      /^the gateway's user guest at .*guarded: password authentication failed.* \(28P01\); check/,
      /^the counter's user nobody at .*\(28P01\)/,
    ]);
    const [createRole] = (await findProblems(provision(ownerUrl))).slice(1);
    t.match(
      createRole,
      /^the owner guest: permission denied to create role \(42501\): .*mesh -- sql/,
    );
    const [withoutTls] = await findProblems(provision(`${ownerUrl}?sslmode=require`));
    t.match(withoutTls, /^the owner guest at .*does not support SSL.*; turn ssl on there, or/);
    const schemas = `select nspname from pg_namespace where nspname = '${DEFAULT_SCHEMA}'`;
    t.strictSame(await ask(inDatabase(server.url, 'guarded'), schemas), []);
    await expectMissingRights(t);
  },
);

/** As a DBA may have taken them away. */
async function expectMissingRights(t: Test): Promise<void> {
  const ownerUrl = await makeDatabase('short');
  const { gateway, counter } = await provision(ownerUrl);
  await ask(
    ownerUrl,
    'revoke select on increment_mesh.increments from mesh_short_gateway',
    'revoke update on increment_mesh.streams from mesh_short_counter',
    'revoke insert on increment_mesh.ledger from mesh_short_counter',
  );
  const problems = await findProblems(
    provisionDatabase({ ownerUrl: undefined, serviceUrls: { gateway, counter }, passwords: {} }),
  );
  t.match(problems, [
    /^the gateway's user mesh_short_gateway at .*: permission denied for table increments \(42501\); grant/,
    /^the counter's user mesh_short_counter at .*: permission denied for table ledger \(42501\); grant/,
  ]);
  await provision(ownerUrl);
  await ask(ownerUrl, 'alter table increment_mesh.increments enable row level security');
  const hidden = await findProblems(provision(ownerUrl));
  t.match(hidden, [
    /^the gateway's user .*: query would be affected by row-level security policy .*\(42501\)/,
    /^the counter's user .*: new row violates row-level security policy .*\(42501\)/,
  ]);
}
