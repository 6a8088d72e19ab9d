import { sql } from 'kysely';
import t from 'tap';
import { auditBooks } from '../../../counter/maintenance/audit.ts';
import {
  differences,
  makeKeys,
  readCounters,
  readTotal,
  untilTotal,
} from '../../support/counters.ts';
import { drive, total } from '../../support/load.ts';
import { startServers } from '../../support/servers.ts';
import { startCounter, startGateway } from '../../support/services.ts';
import { until } from '../../support/until.ts';
import { commandsOn } from './run-command.ts';

const FAST = { FLUSH_INTERVAL_MS: '200' };

void t.test('the books of a mesh under load', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: 200 });
  const { database } = servers;
  const gateway = await startGateway(t, servers);
  for (let count = 0; count < 2; count++) await startCounter(t, servers, FAST);
  const mesh = commandsOn(servers);
  const keys = makeKeys(50);
  const startLoad = () => {
    const ending = new AbortController();
    const clients = { connections: 8, pauseMs: 10 };
    const load = drive({ ...clients, urls: [gateway.url], keys, signal: ending.signal });
    return {
      /** Awaits that so much more is counted. */
      untilCounted: async (count: number) => {
        const before = Number(await readTotal(database));
        const isMore = (now: string) => Number(now) >= before + count;
        await until(`${count} more`, () => readTotal(database), isMore);
      },
      end: () => {
        ending.abort();
        return load;
      },
    };
  };

  await t.test('audit says balanced at any moment', async (t) => {
    const load = startLoad();
    for (let run = 0; run < 4; run++) {
      await load.untilCounted(10);
      const { code, output } = await mesh('audit');
      t.equal(code, 0);
      t.match(output, /\nbalanced\n$/);
    }
    const { accepted } = await load.end();
    await untilTotal(database, total(accepted));
    const { answer } = await mesh('audit --json');
    t.match(answer(), { balanced: true, counted: String(total(accepted)), difference: '0' });
  });

  await t.test('clear needs a yes, and then zeroes counts and keeps keys and ids', async (t) => {
    const refused = await mesh('clear');
    t.equal(refused.code, 2);
    t.match(refused.error, /not a terminal: pass --yes to confirm/);
    const before = await readTotal(database);
    t.not(before, '0');
    const { size } = await readCounters(database);
    const rows = () => database.selectFrom('ledger').select('id').orderBy('id').execute();
    const ids = await rows();

    const { code, answer } = await mesh('clear --yes --json');
    t.equal(code, 0);
    t.strictSame(answer(), { cleared: true, keys: size, sum: before });
    t.equal(await readTotal(database), '0');
    t.equal((await readCounters(database)).size, size, 'keys are kept');
    t.strictSame(await rows(), ids, 'ids are kept');
    t.equal((await mesh('audit')).code, 0, 'the books balance');
  });

  await t.test('clear under load leaves the books balanced', async (t) => {
    const load = startLoad();
    await load.untilCounted(10);
    t.equal((await mesh('clear --yes')).code, 0);
    await load.untilCounted(10);
    await load.end();
    t.equal((await mesh('audit')).code, 0);
    t.equal((await mesh('clear --yes')).code, 0);
  });

  await t.test('what is counted after a clear is exact', async (t) => {
    // What was still in the stream at the clear is counted after it.
    await until('a quiet stream', servers.inspect, ({ messages }) => messages === 0);
    await mesh('clear --yes');
    const load = startLoad();
    await load.untilCounted(10);
    const { accepted } = await load.end();
    await untilTotal(database, total(accepted));
    const table = await readCounters(database);
    t.strictSame(differences(table, accepted), []);
  });

  await t.test('audit says unbalanced when a row is changed by hand', async (t) => {
    await sql`update increments set value = value + 3 where key = ${keys[0]}`.execute(database);
    const { code, output } = await mesh('audit');
    t.equal(code, 1);
    t.match(output, /NOT balanced\nThe counters hold 3 more than the messages added/);
    const json = await mesh('audit --json');
    t.equal(json.code, 1);
    t.match(json.answer(), { balanced: false, difference: '3', missing: 0 });
    await sql`update increments set value = value - 3 where key = ${keys[0]}`.execute(database);
    t.equal((await mesh('audit')).code, 0);
  });

  await t.test('audit names a message that left the stream uncounted', async (t) => {
    const { sequence } = await database
      .deleteFrom('ledger')
      .where('sequence', '=', '2')
      .returning('sequence')
      .executeTakeFirstOrThrow();
    t.equal(sequence, '2');
    const { code, answer } = await mesh('audit --json');
    t.equal(code, 1);
    t.match(answer(), { missing: 1, holes: [{ from: 2, through: 2 }] });
    t.match((await mesh('audit')).output, /1 message left the stream, .* does not know it: 2\./);
  });
});

void t.test('audit says that the stream went back in time', async (t) => {
  const servers = await startServers(t);
  const empty = { messages: 0, unsettledSinceMs: 0, incarnation: 1 };
  const stream = { ...empty, firstSequence: 5, lastSequence: 4 };
  await sql`insert into streams (incarnation, pruned_through) values (1, 3)`.execute(
    servers.database,
  );
  const row = (sequence: number) =>
    sql`insert into ledger (id, incarnation, sequence, stored_at, digest, increments, total)
      values (gen_random_uuid(), 1, ${sequence}, now(), gen_random_uuid(), 0, 0)`.execute(
      servers.database,
    );
  await row(4);
  t.match(await auditBooks(servers.database, () => Promise.resolve(stream)), { isBalanced: true });

  await row(5);
  const back = await auditBooks(servers.database, () => Promise.resolve(stream));
  t.match(back, { isBalanced: false, settledBeyondEnd: 5, missing: 0 });

  // The message was stored between the two looks at the stream.
  let looks = 0;
  const grown = await auditBooks(servers.database, () =>
    Promise.resolve(++looks === 1 ? stream : { ...stream, lastSequence: 5 }),
  );
  t.match(grown, { isBalanced: true, settledThrough: 5 });
});
