import { sql, type Kysely } from 'kysely';
import t, { type Test } from 'tap';
import { openDatabase } from '../../schema/database/database.ts';
import { type Database } from '../../schema/database/tables.ts';
import { describeLoad, startSteadyLoad } from '../mesh/steady-load.ts';
import { openInspection } from '../torture/inspection.ts';
import { differences, makeKeys, readCounters } from '../support/counters.ts';
import { drive, total } from '../support/load.ts';
import { startCounter, startGateway } from '../support/services.ts';
import { PASSWORDS } from '../support/passwords.ts';
import { startPair, type Pair } from '../support/standby.ts';
import { until } from '../support/until.ts';

const FAST = { FLUSH_INTERVAL_MS: '500' };

await t.test('a standby that is promoted under load has every count', async (t) => {
  const pair = await startPair(t, { flushIntervalMs: 500 });
  const { gateway } = await startServices(t, pair);
  const endings: (() => unknown)[] = [];
  t.teardown(async () => {
    for (const end of endings) await end();
  });
  const scene = await openInspection(
    {
      gateways: [],
      counters: [],
      proxy: null,
      nats: [{ pid: null, url: pair.urls.nats.inspector }],
      postgres: { pid: null, url: pair.listUrl('owner', PASSWORDS.owner) },
    },
    endings,
  );
  const load = startSteadyLoad({ urls: [gateway.url], perSecond: 150, scene });
  await load.untilAccepted(300);
  pair.postgres.kill('SIGKILL');
  await pair.postgres.exited;
  await load.untilAccepted(load.accepted + 150);
  await pair.promote();
  await load.untilAccepted(load.accepted + 300);

  const report = await load.end();
  t.comment(describeLoad(report));
  t.strictSame(report.verdict.problems, [], 'zero lost, zero doubled');
  t.equal(report.accepted, report.sent, 'and nobody noticed');
});

await t.test(
  'what a primary committed alone stays in the stream until a standby has it',
  async (t) => {
    const pair = await startPair(t, { flushIntervalMs: 500 });
    const { gateway } = await startServices(t, pair);
    pair.standby().kill('SIGKILL');
    await pair.standby().exited;
    const keys = makeKeys(5);
    const sent = await drive({ urls: [gateway.url], keys, connections: 4, requests: 100 });
    t.strictSame([...sent.statuses.keys()], [200]);

    await until('a commit that waits for the standby', () => countWaiting(pair), atLeast(1));
    pair.postgres.kill('SIGKILL');
    await pair.restartPostgres();
    const alone = await until('what it committed', () => countLedger(pair), atLeast(1));
    const { messages } = await until(
      'a counter that settles what it finds counted',
      async () => ({ waiting: await countWaiting(pair), ...(await pair.inspect()) }),
      ({ waiting, messages }) => waiting > 0 || messages === 0,
      30_000,
    );
    t.ok(messages >= alone, 'the broker has forgotten nothing');

    pair.postgres.kill('SIGKILL');
    await pair.postgres.exited;
    await pair.startStandby();
    await pair.promote();
    const database = open(t, pair.listUrl('owner', PASSWORDS.owner));
    const expected = total(sent.accepted);
    await until(
      'every increment, on the other server',
      () => countLedgerSum(database),
      (sum) => sum === expected,
      40_000,
    );
    t.strictSame(differences(await readCounters(database), sent.accepted), []);
  },
);

async function startServices(t: Test, pair: Pair) {
  const gatewayUrl = pair.listUrl('mesh_gateway', PASSWORDS.gateway);
  const counterUrl = pair.listUrl('mesh_counter', PASSWORDS.counter);
  const counter = { ...FAST, DATABASE_URL: counterUrl };
  await startCounter(t, pair, counter);
  await startCounter(t, pair, counter);
  return { gateway: await startGateway(t, pair, { DATABASE_URL: gatewayUrl }) };
}

/** Commits of flushes and settling on the primary that wait for the standby. */
async function countWaiting(pair: Pair): Promise<number> {
  const { rows } = await sql<{ count: string }>`
    select count(*) from pg_stat_activity
    where wait_event = 'SyncRep' and query ilike 'commit%'`.execute(pair.database);
  return Number(rows[0]?.count);
}

async function countLedger(pair: Pair): Promise<number> {
  const { rows } = await sql<{ count: string }>`select count(*) from ledger`.execute(pair.database);
  return Number(rows[0]?.count);
}

async function countLedgerSum(database: Kysely<Database>): Promise<number> {
  const { rows } = await sql<{ sum: string | null }>`select sum(total) from ledger`.execute(
    database,
  );
  return Number(rows[0]?.sum ?? 0);
}

function open(t: Test, url: string): Kysely<Database> {
  const database = openDatabase(url, {
    name: 'test',
    connectionsMax: 2,
    queryTimeoutMs: 30_000,
    onBrokenConnection: () => undefined,
  });
  t.teardown(() => database.destroy());
  return database;
}

function atLeast(least: number): (count: number) => boolean {
  return (count) => count >= least;
}
