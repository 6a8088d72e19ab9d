import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createConnection, createServer, type AddressInfo } from 'node:net';
import { sql, type Kysely } from 'kysely';
import t, { type Test } from 'tap';
import { openDatabase } from '../../../schema/database/database.ts';
import { DEFAULT_SCHEMA } from '../../../schema/database/database-names.ts';
import { roleSettings } from '../../../schema/database/role-settings.ts';
import { SUPERUSER } from '../../../schema/database/set-up-server.ts';
import type { Database } from '../../../schema/database/tables.ts';
import { untilCounted } from '../../support/counters.ts';
import { post, send } from '../../support/load.ts';
import { startServers, type Servers } from '../../support/servers.ts';
import { startCounter, startGateway } from '../../support/services.ts';
import { openStreams } from '../../support/stream.ts';
import { until } from '../../support/until.ts';

/** What somebody may set for a database, none of which the services are made for. */
const HOSTILE: Record<string, string> = {
  DateStyle: 'German',
  IntervalStyle: 'sql_standard',
  TimeZone: 'Australia/Lord_Howe',
  search_path: 'elsewhere',
  default_transaction_isolation: 'serializable',
  default_transaction_read_only: 'on',
  bytea_output: 'escape',
  extra_float_digits: '-15',
  standard_conforming_strings: 'off',
  synchronous_commit: 'off',
  row_security: 'off',
  statement_timeout: '1d',
  array_nulls: 'off',
  exit_on_error: 'on',
};

void t.test('whatever is set for a database, its increments are counted and read', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: 300 });
  await setForDatabase(servers, HOSTILE);
  const gateway = await startGateway(t, servers);
  await startCounter(t, servers, { FLUSH_INTERVAL_MS: '300' });
  const key = randomUUID();
  const before = Date.now();
  t.equal((await post(gateway.url, { key, value: 5 })).status, 200);
  await untilCounted(servers.database, key, 5);
  const answer = await send(`${gateway.url}/counters/${key}`);
  t.equal(answer.status, 200, answer.body);
  const { value, updated_at: updatedAt = '' } = JSON.parse(answer.body) as Record<string, string>;
  t.equal(value, '5');
  t.ok(Math.abs(Date.parse(updatedAt) - before) < 60_000, updatedAt);

  // What has no value is written too.
  const streams = await openStreams(t, servers);
  await streams.store('{"version":2}');
  await until(
    'a parked message without an id',
    () => servers.database.selectFrom('parked_messages').select('id').execute(),
    (parked) => parked.length === 1 && parked[0]?.id === null,
  );
});

void t.test('a database that is read-only by default for a while stops nothing', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: 300 });
  const gateway = await startGateway(t, servers);
  const counter = await startCounter(t, servers, { FLUSH_INTERVAL_MS: '300' });
  const key = randomUUID();
  await post(gateway.url, { key, value: 1 });
  await untilCounted(servers.database, key, 1);
  await setForDatabase(servers, { default_transaction_read_only: 'on' });
  // Every session of the counter service is a new one.
  await sql`select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and usename = 'mesh_counter'`.execute(servers.database);
  await post(gateway.url, { key, value: 1 });
  await untilCounted(servers.database, key, 2);
  t.notOk(counter.log.some(({ msg }) => msg.includes('read-only')));
});

void t.test('every transaction and every single statement has our settings', async (t) => {
  const servers = await startServers(t);
  await setForDatabase(servers, HOSTILE);
  const database = open(t, servers.urls.counterDatabase);
  const expected = Object.entries(roleSettings('counter', DEFAULT_SCHEMA))
    .filter(([name]) => !name.startsWith('tcp_'))
    .map(([name, value]) => [name.replace(/^default_transaction/, 'transaction'), value]);
  const read = async (db: Kysely<Database>) => {
    const { rows } = await sql<{ found: string[] }>`
      select array(select current_setting(name) from unnest(${`{${expected.map(([name]) => name).join(',')}}`}::text[]) as name) as found`.execute(
      db,
    );
    return rows[0]?.found;
  };
  const values = expected.map(([, value]) => value);
  t.strictSame(await read(database), values, 'a single statement');
  t.strictSame(await database.transaction().execute(read), values, 'a transaction');
  const snapshot = database
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute((db) =>
      sql`select current_setting('transaction_isolation') as isolation,
        current_setting('transaction_read_only') as read_only`.execute(db),
    );
  t.match((await snapshot).rows, [{ isolation: 'repeatable read', read_only: 'on' }]);
});

void t.test('options of a URL win over ours', async (t) => {
  const servers = await startServers(t);
  const url = `${servers.urls.counterDatabase}?options=-c%20synchronous_commit%3Dremote_apply`;
  const { rows } = await sql`
    select current_setting('synchronous_commit') as commit`.execute(open(t, url));
  t.strictSame(rows, [{ commit: 'remote_apply' }]);
  const elsewhere = `${servers.urls.counterDatabase}?options=-c%20search_path%3Delsewhere`;
  t.throws(() => open(t, elsewhere), /search_path is in the options .* set DATABASE_SCHEMA/);
});

void t.test('a pooler of transactions need not pass any options on', async (t) => {
  const servers = await startServers(t);
  const url = new URL(servers.urls.counterDatabase);
  const port = Number(url.port);
  const first: string[] = [];
  const proxy = createServer((client) => {
    const server = createConnection(port, '127.0.0.1');
    client.once('data', (data) => first.push(data.toString('latin1')));
    client.pipe(server).pipe(client);
    for (const socket of [client, server]) socket.on('error', () => socket.destroy());
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  t.teardown(() => proxy.close());
  url.port = String((proxy.address() as AddressInfo).port);
  const database = open(t, url.href);
  await sql`select 1`.execute(database);
  t.match(first[0], /application_name/);
  t.notMatch(first[0], /options/);
});

void t.test('a session is closed after an error about it, and kept after another', async (t) => {
  const servers = await startServers(t);
  const database = open(t, servers.urls.counterDatabase);
  const readPid = async () => {
    const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(database);
    return rows[0]?.pid;
  };
  const fail = (sqlstate: string) =>
    sql
      .raw(`do $$ begin raise exception 'x' using errcode = '${sqlstate}'; end $$`)
      .execute(database)
      .catch(() => undefined);
  for (const sqlstate of ['25006', '26000', '0A000', '57P05']) {
    const before = await readPid();
    await fail(sqlstate);
    t.not(await readPid(), before, sqlstate);
  }
  for (const sqlstate of ['22003', 'P0001', '40001']) {
    const before = await readPid();
    await fail(sqlstate);
    t.equal(await readPid(), before, sqlstate);
  }
});

void t.test('a value in a single statement is what a parameter would be', async (t) => {
  const servers = await startServers(t);
  const database = open(t, servers.urls.counterDatabase);
  const values = ["it's", String.raw`\'; drop table increments; --`, '$1', '$2', '"', 'ä\n\\', ''];
  for (const value of values) {
    const { rows } =
      await sql`select ${value}::text as one, '$1' as two, ${'b'}::text as three`.execute(database);
    t.strictSame(rows, [{ one: value, two: '$1', three: 'b' }]);
  }
  const { rows } = await sql`
    select ${12}::bigint as number, ${true}::boolean as truth, ${null}::text as nothing,
      ${new Date(0)}::timestamptz as at`.execute(database);
  t.strictSame(rows, [{ number: '12', truth: true, nothing: null, at: new Date(0) }]);
});

function open(t: Test, url: string): Kysely<Database> {
  const database = openDatabase(url, {
    name: 'test',
    connectionsMax: 1,
    queryTimeoutMs: 16_000,
    settings: roleSettings('counter', DEFAULT_SCHEMA),
    onBrokenConnection: () => undefined,
  });
  t.teardown(() => database.destroy());
  return database;
}

/** Also instead of what is stored for the roles, which would win. */
async function setForDatabase(
  { database, urls }: Servers,
  settings: Record<string, string>,
): Promise<void> {
  const name = decodeURIComponent(new URL(urls.ownerDatabase).pathname.slice(1));
  for (const [setting, value] of Object.entries(settings)) {
    for (const who of [
      'database',
      'role mesh_gateway in database',
      'role mesh_counter in database',
    ]) {
      await sql.raw(`alter ${who} "${name}" set ${setting} = '${value}'`).execute(database);
    }
  }
  // The test's own sessions go on finding the tables, in new sessions too.
  await sql
    .raw(`alter role ${SUPERUSER} in database "${name}" set search_path = public`)
    .execute(database);
}
