import { sql } from 'kysely';
import t from 'tap';
import { migrate } from '../../schema/database/migrate.ts';
import { formatDatabaseUrl, parseDatabaseUrl } from '../../schema/database/database-url.ts';
import { commandsOn } from '../mesh/cli/run-command.ts';
import { differences, makeKeys, readCounters, untilTotal } from '../support/counters.ts';
import { post, send } from '../support/load.ts';
import { PASSWORDS } from '../support/passwords.ts';
import { findPgBouncer, startPgBouncer } from '../support/pgbouncer.ts';
import { startServers } from '../support/servers.ts';
import { launchService, startCounter, startGateway } from '../support/services.ts';
import { until } from '../support/until.ts';

const FAST = { FLUSH_INTERVAL_MS: '100' };
const ROUNDS = 8;

const program = (await findPgBouncer(t)) ?? '';
const skip = program === '' && 'PgBouncer can’t be had here';

void t.test('a mesh counts exactly through PgBouncer in transaction mode', { skip }, async (t) => {
  const servers = await startServers(t, { flushIntervalMs: 100 });
  const { folder } = servers;
  const urls = { ...servers.urls };
  const users = {
    owner: PASSWORDS.owner,
    mesh_gateway: PASSWORDS.gateway,
    mesh_counter: PASSWORDS.counter,
  };
  const start = (users: Record<string, string>) =>
    startPgBouncer(t, { program, folder, url: urls.ownerDatabase, users });
  const port = await start(users);
  const through = (url: string, port: number) =>
    formatDatabaseUrl({ ...parseDatabaseUrl(url), servers: [{ host: '127.0.0.1', port }] });
  Object.assign(servers.urls, {
    ownerDatabase: through(urls.ownerDatabase, port),
    gatewayDatabase: through(urls.gatewayDatabase, port),
    counterDatabase: `${through(urls.counterDatabase, port)}?options=-c%20jit%3Doff`,
  });

  await t.resolves(
    migrate({
      ownerUrl: servers.urls.ownerDatabase,
      passwords: {},
      existingRoles: { gateway: 'mesh_gateway', counter: 'mesh_counter' },
    }),
    'tables and roles are brought to this version through it',
  );
  const gateway = await startGateway(t, servers);
  const counters = await Promise.all([1, 2, 3].map(() => startCounter(t, servers, FAST)));
  const keys = makeKeys(20);
  const expected = new Map<string, number>();
  for (let round = 1; round <= ROUNDS; round += 1) {
    const answers = keys.map(async (key) => {
      expected.set(key, (expected.get(key) ?? 0) + round);
      t.equal((await post(gateway.url, { key, value: round })).status, 200);
      return send(`${gateway.url}/counters/${key}`);
    });
    for (const { status } of await Promise.all(answers)) t.ok([200, 404].includes(status));
  }
  await untilTotal(
    servers.database,
    [...expected.values()].reduce((sum, value) => sum + value, 0),
  );
  t.strictSame(differences(await readCounters(servers.database), expected), []);
  const said = [...counters, gateway].flatMap(({ log }) => log.filter(({ level }) => level >= 40));
  t.strictSame(said, [], 'nothing was warned of');
  const { rows } = await sql<{ sessions: number }>`
    select count(*)::int as sessions from pg_stat_activity
    where datname = current_database() and usename in ('mesh_counter', 'mesh_gateway')`.execute(
    servers.database,
  );
  t.ok(rows[0]!.sessions <= 4, 'all share two sessions for each role');
  const mesh = commandsOn(servers);
  t.match(await mesh('audit'), { code: 0, output: /balanced/ });

  await t.test('one that does not know a service’s user is one line that names it', async (t) => {
    const ownersOnly = await start({ owner: PASSWORDS.owner });
    const counter = await launchService(t, 'counter', {
      NATS_URL: urls.nats.counter,
      DATABASE_URL: through(urls.counterDatabase, ownersOnly),
      ...FAST,
    });
    const line = await until('a line about the database', () =>
      counter.log.find(({ msg }) => msg.includes('PgBouncer')),
    );
    t.match(line.msg, /user "mesh_counter".*PgBouncer must know this user/);
  });
});
