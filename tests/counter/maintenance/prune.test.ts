import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import t from 'tap';
import { createCountedIncrements } from '../../../counter/maintenance/count-increments.ts';
import { prune } from '../../../counter/maintenance/prune.ts';
import type { StreamState } from '../../../counter/settle/stream-state.ts';
import { startServers } from '../../support/servers.ts';
import { startCounter } from '../../support/services.ts';
import { openStreams } from '../../support/stream.ts';
import { until } from '../../support/until.ts';

const INCARNATION = 1_800_000_000_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

void t.test('ledgers are pruned by stream time and totals are carried forward', async (t) => {
  const { database } = await startServers(t);
  /** Long before this machine's time, so that a clock that is asked by mistake prunes it all. */
  const now = Date.UTC(2020, 0, 10);
  const stream: StreamState = {
    incarnation: INCARNATION,
    firstSequence: 6,
    lastSequence: 200,
    messages: 195,
    unsettledSinceMs: now,
  };
  await database
    .insertInto('streams')
    .values({ incarnation: String(INCARNATION), pruned_through: '0' })
    .execute();
  const ages = [3 * HOUR_MS, 2 * HOUR_MS, 61 * MINUTE_MS, 59 * MINUTE_MS, 0, 2 * HOUR_MS];
  await database
    .insertInto('ledger')
    .values(
      ages.map((age, index) => ({
        id: randomUUID(),
        incarnation: String(INCARNATION),
        sequence: String(index + 1),
        stored_at: new Date(now - age),
        digest: randomUUID(),
        increments: 2,
        total: String(10 ** index),
      })),
    )
    .execute();
  const keys = [25 * HOUR_MS, 23 * HOUR_MS, 0].map((age) => ({
    key: randomUUID(),
    payload: randomUUID(),
    stored_at: new Date(now - age),
  }));
  await database.insertInto('idempotency_keys').values(keys).execute();

  const counted = createCountedIncrements(database);
  const behindPruning = createCountedIncrements(database);
  const settledThrough = (floor: number, lastSettled = 6) => ({
    incarnation: INCARNATION,
    floor,
    lastSettled,
  });
  t.equal(await counted.read(settledThrough(5)), undefined, 'not before all of it was read');
  for (const [one, floor] of [
    [counted, 5],
    [behindPruning, 2],
  ] as const) {
    one.readAnew();
    t.equal(await one.read(settledThrough(floor)), 12n, 'above the floor too');
  }

  // The sixth is old enough by its time, but still in the stream.
  const gone = await prune(database, stream, { idempotencyKeptMs: DAY_MS });
  t.strictSame(gone, { messages: 3, keys: 1 });
  const left = await database.selectFrom('ledger').select('sequence').orderBy('sequence').execute();
  t.strictSame(
    left.map(({ sequence }) => sequence),
    ['4', '5', '6'],
  );
  t.match(await database.selectFrom('streams').selectAll().executeTakeFirst(), {
    pruned_through: '3',
    carried_messages: '3',
    carried_increments: '6',
    carried_total: '111',
  });

  await database
    .insertInto('ledger')
    .values({
      id: randomUUID(),
      incarnation: String(INCARNATION),
      sequence: '7',
      stored_at: new Date(now),
      digest: randomUUID(),
      increments: 3,
      total: '3',
    })
    .execute();
  t.equal(await counted.read(settledThrough(5, 7)), 15n, 'what was pruned counts once');
  t.equal(await counted.read(settledThrough(7, 7)), 15n, 'at any floor');
  t.equal(await behindPruning.read(settledThrough(7, 7)), 12n, 'what may be missed is not guessed');
  for (const one of [counted, behindPruning]) {
    one.readAnew();
    t.equal(await one.read(settledThrough(7, 7)), 15n, 'anew');
  }

  const nothing = await prune(database, stream, { idempotencyKeptMs: DAY_MS });
  t.strictSame(nothing, { messages: 0, keys: 0 });

  // As long as an old message is not settled, nothing that could meet it is forgotten.
  const behind = { ...stream, unsettledSinceMs: now - 30 * DAY_MS };
  const none = await prune(database, behind, { idempotencyKeptMs: DAY_MS });
  t.strictSame(none, { messages: 0, keys: 0 });
});

void t.test('a counter prunes as much as there is, however fast it came', async (t) => {
  const servers = await startServers(t);
  const streams = await openStreams(t, servers);
  // The stream's time is that of its last message, whatever becomes of it.
  await streams.store('not JSON');
  await sql`insert into idempotency_keys (key, payload, stored_at)
    select gen_random_uuid(), gen_random_uuid(), now() - interval '2 days'
    from generate_series(1, 45000)`.execute(servers.database);
  await startCounter(t, servers);
  // Five statements' worth: at one each ten seconds it would take fifty.
  await until(
    'no key that is past its time',
    () => servers.database.selectFrom('idempotency_keys').select('key').limit(1).execute(),
    ({ length }) => length === 0,
    20_000,
  );
});
