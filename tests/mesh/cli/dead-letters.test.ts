import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { STREAM_BYTES_MAX } from '../../../nats/streams.ts';
import type { CounterActivity } from '../../../schema/message/heartbeat.ts';
import { makeKeys, readCounters, untilTotal } from '../../support/counters.ts';
import { hearCounters } from '../../support/counter-heartbeats.ts';
import { inheritedEnvironment } from '../../support/inherited-environment.ts';
import { post } from '../../support/load.ts';
import { startServers } from '../../support/servers.ts';
import { startCounter, startGateway } from '../../support/services.ts';
import { openStreams } from '../../support/stream.ts';
import { until } from '../../support/until.ts';
import { commandsOn } from './run-command.ts';

const MAIN = fileURLToPath(new URL('../../../mesh/cli/main.ts', import.meta.url));
const CLOCK = fileURLToPath(new URL('../../torture/clock.ts', import.meta.url));
const FAST = { FLUSH_INTERVAL_MS: '200' };
/** With the second between two heartbeats, and what a busy machine takes. */
const REPORTED_MS_MAX = 6_000;
const BROKEN = '{"version":1,"increments":[oops';

void t.test('dead letters are looked at, repaired, counted once or removed', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: 200 });
  const { database } = servers;
  const gateway = await startGateway(t, servers);
  const counter = await startCounter(t, servers, FAST);
  const heartbeats = await hearCounters(t, servers);
  const { store, readDeadLetters } = await openStreams(t, servers);
  const mesh = commandsOn(servers);
  const [key = '', other = ''] = makeKeys(2);
  const untilDead = (count: number) =>
    until(`${count} dead letters`, readDeadLetters, ({ length }) => length === count);

  await t.test('a malformed message between good ones: the good ones are counted', async (t) => {
    t.match((await mesh('dead-letters list')).output, 'There are no dead letters.');
    await post(gateway.url, { key, value: 1 });
    await store(BROKEN);
    await post(gateway.url, { key, value: 2 });
    await untilTotal(database, 3);
    await untilDead(1);
    const { code, answer } = await mesh('dead-letters list --json');
    t.equal(code, 0);
    t.match(answer(), {
      total: 1,
      letters: [
        {
          sequence: 1,
          reason: 'not-json',
          subject: 'increments.replay',
          original_sequence: Number,
          payload: BROKEN,
        },
      ],
    });
    t.match((await mesh('dead-letters list')).output, /^1 .* not-json +increments.replay +\{/m);
    const { dead_letters_waiting: waiting } = await heartbeats.until(
      'a report of it',
      ({ dead_letters_waiting: seen }) => seen?.messages === 1,
      REPORTED_MS_MAX,
    );
    const [letter] = waiting?.latest ?? [];
    t.match(letter, { number: 1, reason: 'not-json', subject: 'increments.replay' });
    t.equal(letter?.payload, BROKEN);
    t.ok(letter!.age_ms < 60_000);
    const lines = counter.log.filter(({ msg }) => msg.includes('dead letter'));
    t.equal(lines.length, 1);
    t.match(
      lines[0]?.msg,
      /^1 dead letter \(1 not-json\), .* of message \d+ of the stream: .* dead-letters list/,
    );
    t.match((await mesh('dead-letters show 1')).output, 'needs a repair: the payload is not JSON');
  });

  await t.test('a replay that would only be a dead letter again is refused', async (t) => {
    const asItIs = await mesh('dead-letters replay 1');
    t.equal(asItIs.code, 1);
    t.match(asItIs.error, 'the payload is not JSON');
    const bad = await mesh(
      'dead-letters replay 1 --payload -',
      `[{"key":"x","value":1},{"key":"${key}","value":1.5}]`,
    );
    t.equal(bad.code, 1);
    t.match(bad.error, /increment 1: its key must be a UUID.*\n +increment 2: its value must be/);
    t.equal((await readDeadLetters()).length, 1, 'it is still there');
  });

  await t.test('--dry-run shows what would be sent and sends nothing', async (t) => {
    const item = (name: string) => `{"key":"${other}","value":20,"${name}":"was http's"}`;
    const repaired = `[${item('once')},${item('idempotency_key')}]`;
    const { code, answer } = await mesh(
      'dead-letters replay 1 --dry-run --json --payload -',
      repaired,
    );
    t.equal(code, 0);
    t.match(answer(), { dead_letter: 1, dry_run: true, increments: 2, total: '40' });
    t.match(
      answer().body,
      /"once":"dead-letter\/\d+\/1","increments":\[(\{"key":"[^"]+","value":20\},?){2}\]/,
    );
  });

  await t.test('a replay after a repair counts once, and so do two of it', async (t) => {
    const message = `{"version":1,"id":"any","increments":[{"key":"${other}","value":40}]}`;
    writeFileSync(join(servers.folder, 'data', 'repaired.json'), message);
    // What would come of a command that was cut off before it removed the dead letter.
    const dry = await mesh('dead-letters replay 1 --dry-run --json --payload repaired.json');
    await store(dry.answer().body);

    const { code, answer } = await mesh('dead-letters replay 1 --json --payload repaired.json');
    t.equal(code, 0);
    t.match(answer(), { dead_letter: 1, sequence: Number, increments: 1, total: '40' });
    await untilTotal(database, 43);
    await until('both settled', servers.inspect, ({ messages }) => messages === 0);
    t.equal((await readCounters(database)).get(other), '40');
    t.strictSame(await readDeadLetters(), [], 'it is removed');

    const again = await mesh('dead-letters replay 1');
    t.equal(again.code, 1);
    t.match(again.error, 'there is no dead letter 1: it was replayed or purged');
    t.equal((await mesh('audit')).code, 0);
  });

  await t.test('one bad increment of a message is replayed by itself, exact', async (t) => {
    const good = `{"key":"${key}","value":9223372036854775806}`;
    await store(`{"version":1,"id":"01900000-0000-7000-8000-000000000000","increments":[${good}]}`);
    await untilDead(1);
    t.match((await mesh('dead-letters show 2 --json')).answer(), {
      reason: 'late',
      countable: true,
    });
    t.match(
      (await mesh('dead-letters replay 2')).output,
      '(sum 9 223 372 036 854 775 806) as message',
    );
    await untilTotal(database, 43n + 9223372036854775806n);
  });

  await t.test("a replay has the broker's time, whatever the operator's clock says", async (t) => {
    await store(`{"version":1,"id":"00000000-0000-7000-8000-000000000000","increments":[]}`);
    await untilDead(1);
    const repaired = `{"key":"${other}","value":2}`;
    execFileSync(
      process.execPath,
      [`--import=${CLOCK}`, MAIN, ...'dead-letters replay 3 --payload -'.split(' ')],
      {
        env: {
          ...inheritedEnvironment(),
          DATA_DIR: join(servers.folder, 'data'),
          CLOCK_AHEAD_MS: '-7200000',
        },
        input: repaired,
      },
    );
    await untilTotal(database, 45n + 9223372036854775806n);
    t.strictSame(await readDeadLetters(), [], 'none is late');
  });

  await t.test('purge removes what it is told to, with a yes', async (t) => {
    for (let count = 0; count < 3; count++) await store(`broken ${count}`);
    await untilDead(3);
    t.equal((await mesh('dead-letters purge 4')).code, 2);
    t.equal((await mesh('dead-letters purge 4 99 --yes')).code, 1, 'one of them is not there');
    t.equal((await readDeadLetters()).length, 3);
    t.strictSame((await mesh('dead-letters purge 4 --yes --json')).answer(), { purged: 1 });
    const first = (await mesh('dead-letters list --from 1 --limit 1 --json')).answer();
    t.match(first, { total: 2, letters: [{ sequence: 5, payload: 'broken 1' }] });
    for (let count = 3; count < 6; count++) await store(`broken ${count}`);
    await untilDead(5);
    t.strictSame((await mesh('dead-letters purge 7 8 9 --yes --json')).answer(), { purged: 3 });
    for (const limit of [1, 2, 50]) {
      const { letters } = (await mesh(`dead-letters list --limit ${limit} --json`)).answer() as {
        letters: { payload: string }[];
      };
      const newest = ['broken 1', 'broken 2'].slice(-limit);
      t.strictSame(
        letters.map(({ payload }) => payload),
        newest,
        `the newest ${limit}, though later ones were removed`,
      );
    }
    const { dead_letters_waiting: left } = await heartbeats.until(
      'the others',
      ({ dead_letters_waiting: seen }) => seen?.messages === 2,
      REPORTED_MS_MAX,
    );
    t.match(left?.latest, [
      { number: 6, payload: 'broken 2' },
      { number: 5, payload: 'broken 1' },
    ]);

    const inspector = servers.urls.nats.inspector;
    const denied = await mesh(`dead-letters purge --all --yes --nats-url ${inspector}`);
    t.equal(denied.code, 3);
    t.match(
      denied.error,
      /nobody on the broker answers \$JS\.API\.STREAM\.PURGE\.INCREMENTS_DEAD: either this NATS user may not/,
    );

    t.strictSame((await mesh('dead-letters purge --all --yes --json')).answer(), { purged: 2 });
    t.strictSame(await readDeadLetters(), []);
    await heartbeats.until(
      'none',
      ({ dead_letters_waiting: seen }) => seen?.messages === 0 && seen.latest.length === 0,
      REPORTED_MS_MAX,
    );
  });

  await t.test('counter services report what the ledger says is counted', async (t) => {
    const { increments } = await database
      .selectFrom('ledger')
      .select(({ fn }) => fn.sum<string>('increments').as('increments'))
      .executeTakeFirstOrThrow();
    const isExact = (seen: CounterActivity) => seen.increments_counted === increments;
    const { stream } = await heartbeats.until(increments, isExact);
    t.match(stream, { bytes: Number, bytes_max: STREAM_BYTES_MAX, messages: 0 });
    const { lastSequence } = await servers.inspect();
    // An idle gateway stores a message now and then.
    const reported = stream?.last_sequence ?? 0;
    t.ok(reported > 0 && reported <= lastSequence, `${reported} of ${lastSequence}`);
  });
});
