import { get, type IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import t from 'tap';
import { readCounterLines } from '../../../gateway/reads/counter-lines.ts';
import { openDatabase } from '../../../schema/database/database.ts';
import { DEFAULT_SCHEMA } from '../../../schema/database/database-names.ts';
import { roleSettings } from '../../../schema/database/role-settings.ts';
import { makeKeys } from '../../support/counters.ts';
import { send } from '../../support/load.ts';
import { startServers } from '../../support/servers.ts';
import { startGateway } from '../../support/services.ts';
import { until } from '../../support/until.ts';

/** More than the sockets of an answer hold. */
const COUNTERS = 80_000;
const LINES = { accept: 'application/x-ndjson' };

void t.test('all counters as lines', async (t) => {
  const servers = await startServers(t);
  const { database } = servers;
  await sql`
    insert into increments (key, value)
    select gen_random_uuid(), 7 from generate_series(1, ${COUNTERS})`.execute(database);
  const gateway = await startGateway(t, servers);
  const url = `${gateway.url}/counters`;
  const open = (): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const request = get(url, { headers: LINES, agent: false }, resolve).on('error', reject);
      t.teardown(() => request.destroy());
    });

  await t.test('are whole with their last line, in the order of keys', async (t) => {
    const { headers, body } = await send(url, { headers: LINES });
    t.match(headers['content-type'], 'application/x-ndjson');
    const lines = body.trimEnd().split('\n');
    t.equal(lines.length, COUNTERS + 1);
    t.strictSame(JSON.parse(lines.at(-1)!), {
      complete_through: null,
      complete_sequence: null,
      counters: COUNTERS,
    });
    t.match(JSON.parse(lines[0]!), { key: String, value: '7', updated_at: /^\d{4}-.*Z$/ });
    const keys = lines.slice(0, -1).map((line) => (JSON.parse(line) as { key: string }).key);
    t.ok(keys.every((key, index) => index === 0 || key > keys[index - 1]!));

    const rest = await send(`${url}?after=${keys.at(-3)}`, { headers: LINES });
    const [first, second, last] = rest.body.split('\n').map((line) => line && JSON.parse(line));
    t.match([first, second, last], [{ key: keys.at(-2) }, { key: keys.at(-1) }, { counters: 2 }]);
    t.match(await send(url, { method: 'HEAD', headers: LINES }), { status: 200, body: '' });
    for (const query of [`key=${keys[0]}`, 'limit=5'])
      t.equal((await send(`${url}?${query}`, { headers: LINES })).status, 400);
    t.equal((await send(`${url}?at_least=5`, { headers: LINES })).status, 504);
  });

  await t.test('take no more than half of the connections to PostgreSQL', async (t) => {
    const unread = [await open(), await open()];
    t.strictSame(
      unread.map(({ statusCode }) => statusCode),
      [200, 200],
    );
    const third = await send(url, { headers: LINES });
    t.equal(third.status, 503);
    t.match(JSON.parse(third.body), { code: 'too-many-waiting' });
    const reads = makeKeys(20).map((key) => send(`${url}?key=${key}`));
    for (const { status } of await Promise.all(reads)) t.equal(status, 200, 'others are read');

    for (const answer of unread) answer.destroy();
    const isFree = async () => {
      const answer = await open();
      answer.destroy();
      return answer.statusCode === 200;
    };
    await until('room after clients that have gone', isFree);
  });

  await t.test('break off without their last line when the gateway stops', async (t) => {
    const answer = await until('room', open, ({ statusCode }) => statusCode === 200);
    const stopped = gateway.stop();
    await delay(100);
    let text = '';
    const read = async () => {
      for await (const chunk of answer) text += String(chunk);
    };
    await t.rejects(read(), { code: 'ECONNRESET' });
    t.notMatch(text, '"counters":');
    t.equal(await stopped, 0);
    const { rows } = await sql`
      select from pg_stat_activity
      where datname = current_database() and usename = 'mesh_gateway'`.execute(database);
    t.equal(rows.length, 0, 'no snapshot is left');
  });

  await t.test('are of one moment, however long the reader takes', async (t) => {
    const limited = openDatabase(servers.urls.gatewayDatabase, {
      name: 'test',
      connectionsMax: 1,
      queryTimeoutMs: 5_000,
      settings: {
        ...roleSettings('gateway', DEFAULT_SCHEMA),
        transaction_timeout: '500ms',
        idle_in_transaction_session_timeout: '500ms',
      },
      onBrokenConnection: () => undefined,
    });
    t.teardown(() => limited.destroy());
    const lines = readCounterLines(limited);
    let text = (await lines.next()).value ?? '';
    await sql`update increments set value = 8`.execute(database);
    await sql`insert into increments (key, value)
      values ('ffffffff-ffff-ffff-ffff-ffffffffffff', 8)`.execute(database);
    await delay(1_000);
    for await (const chunk of lines) text += chunk;
    t.notMatch(text, '"value":"8"');
    t.ok(text.endsWith(`"counters":${COUNTERS}}\n`));
    const { rows } = await sql`select current_setting('transaction_timeout')`.execute(limited);
    t.strictSame(rows, [{ current_setting: '500ms' }], 'others are limited as before');
  });
});
