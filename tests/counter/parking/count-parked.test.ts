import { randomUUIDv7 } from 'node:crypto';
import { sql, type Kysely } from 'kysely';
import t, { type Test } from 'tap';
import { acceptMessage } from '../../../counter/consume/accept-message.ts';
import { createFlushBatch } from '../../../counter/consume/flush-batch.ts';
import { flush } from '../../../counter/flush/flush.ts';
import { readBooks } from '../../../counter/maintenance/audit.ts';
import { prune } from '../../../counter/maintenance/prune.ts';
import { countParked, type CountParkedOptions } from '../../../counter/parking/count-parked.ts';
import type { Database } from '../../../schema/database/tables.ts';
import { encodeEnvelope, encodeIncrement } from '../../../schema/message/envelope.ts';
import { mintId } from '../../../schema/message/message-id.ts';
import { createLog } from '../../../telemetry/log.ts';
import { makeKeys, readCounters } from '../../support/counters.ts';
import { startServers } from '../../support/servers.ts';

const INCARNATION = 1_800_000_000_000;
const HOUR_MS = 3_600_000;

interface Sent {
  sequence: number;
  value: number;
  id?: string;
  idempotencyKey?: string;
  storedAtMs?: number;
}

void t.test('parked messages are counted once by two counter services at once', async (t) => {
  const { database, key } = await start(t);
  const sent = Array.from({ length: 5_000 }, (_, index) => ({ sequence: index + 1, value: 1 }));
  await park(database, key, sent);
  await Promise.all([count(database), count(database)]);
  await count(database);
  await expectCounted(t, database, new Map([[key, '5000']]));
});

void t.test(
  'what another counter service has counted meanwhile is not counted again',
  async (t) => {
    const { database, key } = await start(t);
    const storedAtMs = Date.now() - 72 * HOUR_MS;
    await park(database, key, [{ sequence: 1, value: 5, storedAtMs, id: mintId(storedAtMs) }]);
    await count(database, {
      // After the message was read.
      readStreamTimeMs: async () => {
        await count(database);
        t.equal((await pruneAll(database)).messages, 1, 'the ledger knows nothing of it');
        return Date.now();
      },
    });
    await expectCounted(t, database, new Map([[key, '5']]));
  },
);

void t.test(
  'parked messages whose commit fails stay parked, and are counted by the next',
  async (t) => {
    const { database, key } = await start(t);
    await park(database, key, [{ sequence: 1, value: 5 }]);
    await sql`create function refuse() returns trigger language plpgsql
    as 'begin raise exception ''no commit today''; end'`.execute(database);
    await sql`create constraint trigger refuse after insert on ledger
    deferrable initially deferred for each row execute function refuse()`.execute(database);
    await t.rejects(count(database, { isStopping: stopAtOnce() }), { name: 'FlushAborted' });
    await expectCounted(t, database, new Map(), 1);
    await sql`drop trigger refuse on ledger`.execute(database);
    await count(database);
    await expectCounted(t, database, new Map([[key, '5']]));
  },
);

void t.test(
  'a message that is delivered again after it was counted is not parked again',
  async (t) => {
    const { database, key } = await start(t);
    // The second has no id that can be read.
    const sent = [
      { sequence: 1, value: 5 },
      { sequence: 2, value: 7, id: 'none' },
    ];
    const bodies = await park(database, key, sent);
    await count(database);
    await deliver(database, bodies);
    await expectCounted(t, database, new Map([[key, '5']]));
  },
);

void t.test('copies of a parked message are repeats, whatever their sequence', async (t) => {
  const { database, key } = await start(t);
  const id = randomUUIDv7();
  await park(database, key, [
    { sequence: 1, value: 5, id },
    { sequence: 2, value: 5, id },
  ]);
  await park(database, key, [{ sequence: 3, value: 5, id }]);
  await expectCounted(t, database, new Map(), 1);
  await count(database);
  await park(database, key, [{ sequence: 4, value: 5, id }]);
  await expectCounted(t, database, new Map([[key, '5']]));
});

void t.test('a message may be parked for days, and its books balance throughout', async (t) => {
  const { database, key } = await start(t);
  const storedAtMs = Date.now() - 72 * HOUR_MS;
  const old = { storedAtMs, id: mintId(storedAtMs) };
  await park(database, key, [{ sequence: 1, value: 5, ...old, idempotencyKey: 'public/a' }]);
  t.equal((await pruneAll(database)).messages, 1, 'its row of the ledger is gone');

  await count(database);
  await expectCounted(t, database, new Map([[key, '5']]));
  await pruneAll(database);
  await expectCounted(t, database, new Map([[key, '5']]));
  const repeat = [{ sequence: 2, value: 5, idempotencyKey: 'public/a' }];
  await park(database, key, repeat);
  await count(database);
  await expectCounted(t, database, new Map([[key, '5']]));
});

void t.test(
  'a parked message that turns out to be late or malformed is a dead letter',
  async (t) => {
    const { database, key } = await start(t);
    await park(database, key, [
      { sequence: 1, value: 5 },
      { sequence: 2, value: 5, id: mintId(Date.now() - HOUR_MS) },
      { sequence: 3, value: 5, id: 'none' },
      { sequence: 4, value: 0 },
      { sequence: 5, value: 5 },
    ]);
    // As if its id had been somewhere else.
    await sql`update parked_messages set id = null where sequence = 5`.execute(database);
    await count(database);
    await expectCounted(t, database, new Map([[key, '5']]));
    const letters = await database
      .selectFrom('dead_letters')
      .select(['sequence', 'reason'])
      .orderBy('sequence')
      .execute();
    t.strictSame(letters, [
      { sequence: '2', reason: 'late' },
      { sequence: '3', reason: 'wrong-shape' },
      { sequence: '4', reason: 'bad-value' },
      { sequence: '5', reason: 'wrong-shape' },
    ]);
  },
);

void t.test(
  'a parked message that the database refuses costs its neighbours nothing',
  async (t) => {
    const { database, key } = await start(t);
    const [full = ''] = makeKeys(1);
    await sql`insert into increments (key, value) values (${full}, ${'9'.repeat(38)})`.execute(
      database,
    );
    await park(database, key, [{ sequence: 1, value: 5 }]);
    await park(database, full, [{ sequence: 2, value: 5 }]);
    await park(database, key, [{ sequence: 3, value: 5 }]);
    await count(database);
    t.equal((await readCounters(database)).get(key), '10');
    const letters = await database.selectFrom('dead_letters').select('reason').execute();
    t.strictSame(letters, [{ reason: 'refused-by-database' }]);
  },
);

async function start(t: Test): Promise<{ database: Kysely<Database>; key: string }> {
  const { database } = await startServers(t);
  await database
    .insertInto('streams')
    .values({ incarnation: String(INCARNATION), pruned_through: '0' })
    .execute();
  return { database, key: makeKeys(1)[0] ?? '' };
}

interface Body {
  sequence: number;
  storedAtMs: number;
  text: string;
}

/**
 * Parks messages that this version understands, as the version before it would have: they are parked as
 * messages of the next version, which then comes.
 */
async function park(database: Kysely<Database>, key: string, sent: Sent[]): Promise<Body[]> {
  const bodies = sent.map(({ sequence, value, id, idempotencyKey, storedAtMs = Date.now() }) => {
    const increment = encodeIncrement({
      key,
      value,
      ...(idempotencyKey !== undefined && { idempotency_key: idempotencyKey }),
    });
    const envelope = encodeEnvelope(id ?? randomUUIDv7(), [increment]);
    return { sequence, storedAtMs, text: envelope.replace('"version":1', '"version":2') };
  });
  await deliver(database, bodies);
  await sql`update parked_messages set version = 1,
    payload = replace(convert_from(payload, 'UTF8'), '"version":2', '"version":1')::bytea`.execute(
    database,
  );
  return bodies;
}

async function deliver(database: Kysely<Database>, bodies: Body[]): Promise<void> {
  const batch = createFlushBatch();
  for (const { text, ...delivery } of bodies) {
    acceptMessage(
      batch,
      {
        data: Buffer.from(text),
        subject: 'increments.http',
        reply: '',
        deliveryCount: 1,
        ...delivery,
      },
      { reconnectedAtMs: 0, isBeingFlushed: () => false },
    );
  }
  await flush(database, batch, INCARNATION);
}

function count(
  database: Kysely<Database>,
  options: Partial<CountParkedOptions> = {},
): Promise<void> {
  return countParked({
    database,
    readStreamTimeMs: () => Promise.resolve(Date.now()),
    onCommitted: () => undefined,
    isStopping: () => false,
    log: createLog('counter', 'silent'),
    ...options,
  });
}

/** Lets one round begin. */
function stopAtOnce(): () => boolean {
  let asked = 0;
  return () => asked++ > 0;
}

function pruneAll(database: Kysely<Database>) {
  return prune(database, streamNow(), { idempotencyKeptMs: 24 * HOUR_MS });
}

function streamNow() {
  const unsettledSinceMs = Date.now();
  return {
    incarnation: INCARNATION,
    firstSequence: 10,
    lastSequence: 9,
    messages: 0,
    unsettledSinceMs,
  };
}

async function expectCounted(
  t: Test,
  database: Kysely<Database>,
  counters: Map<string, string>,
  parked = 0,
): Promise<void> {
  t.strictSame(await readCounters(database), counters);
  t.equal((await readBooks(database)).difference, '0');
  const rows = await database.selectFrom('parked_messages').select('sequence').execute();
  t.equal(rows.length, parked, 'still parked');
}
