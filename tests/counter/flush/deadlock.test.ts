import { randomUUIDv7 } from 'node:crypto';
import { sql, type Kysely } from 'kysely';
import t from 'tap';
import { acceptMessage } from '../../../counter/consume/accept-message.ts';
import { createFlushBatch } from '../../../counter/consume/flush-batch.ts';
import { flush } from '../../../counter/flush/flush.ts';
import { STATEMENT_ROWS_MAX } from '../../../counter/flush/statement-rows.ts';
import type { Database } from '../../../schema/database/tables.ts';
import { encodeEnvelope, encodeIncrement } from '../../../schema/message/envelope.ts';
import { makeBatch } from '../../bench/harness/made-batch.ts';
import { makeKeys, readCounters, readTotal } from '../../support/counters.ts';
import { startServers } from '../../support/servers.ts';

const INCARNATION = 1_800_000_000_000;
/** So many that one flush is still at its first when the other is at its last. */
const KEYS = 5_000;
const ROUNDS = 10;
/** With an insert that is slow, two flushes meet half-way. */
const MESSAGES = 100;
const SLOW_S = 0.003;

void t.test('flushes that share all keys, in opposite order, never deadlock', async (t) => {
  const { database } = await startServers(t);
  // By time, so that they share the digits by which a flush sorts them first.
  const keys = Array.from({ length: KEYS }, () => randomUUIDv7()).toSorted();
  const orders = [keys, keys.toReversed()];
  await flush(database, makeBatch(keys, 1), INCARNATION);

  await t.test('though upserts in the order of their keys would', async (t) => {
    let codes: string[] = [];
    for (let round = 0; round < ROUNDS && codes.length === 0; round++) {
      const ends = await Promise.allSettled(orders.map((order) => upsertAsGiven(database, order)));
      codes = ends.flatMap((end) =>
        end.status === 'rejected' ? [(end.reason as { code: string }).code] : [],
      );
    }
    t.strictSame(codes, ['40P01'], 'deadlock_detected');
    await sql`update increments set value = 1`.execute(database);
  });

  for (let round = 0; round < ROUNDS; round++) {
    await Promise.all(orders.map((order) => flush(database, makeBatch(order, 1), INCARNATION)));
  }
  const counters = await readCounters(database);
  t.equal(counters.size, KEYS);
  t.ok(keys.every((key) => counters.get(key) === String(1 + 2 * ROUNDS)));
});

void t.test('nor do those that leave out what the database refuses', async (t) => {
  const { database } = await startServers(t);
  // In an order in which each has what the other takes last; their first statements share only the first one's
  // last rows, to which it comes long after the other has begun.
  const keys = makeKeys(2 * STATEMENT_ROWS_MAX - 1_000).toSorted();
  const batches = [keys, keys.toReversed()].map((order) => makeBatch(order, 1));
  const separate = { mayTry: () => true };
  await Promise.all(batches.map((batch) => flush(database, batch, INCARNATION, { separate })));
  t.equal(await readTotal(database), String(2 * keys.length));
});

void t.test('nor do those of messages that were stored twice', async (t) => {
  const { database } = await startServers(t);
  await slowDown(database, 'ledger');
  const [key = ''] = makeKeys(1);
  const messages = makeIds().map((id) => ({ id, increment: encodeIncrement({ key, value: 1 }) }));
  await flushInBothOrders(database, messages, messages);
  t.equal(await readTotal(database), String(MESSAGES));
});

void t.test('nor do those of idempotency keys that were sent twice', async (t) => {
  const { database } = await startServers(t);
  await slowDown(database, 'idempotency_keys');
  const [key = ''] = makeKeys(1);
  const increments = makeIds().map((idempotency_key) =>
    encodeIncrement({ key, value: 1, idempotency_key }),
  );
  const send = () => increments.map((increment) => ({ id: randomUUIDv7(), increment }));
  await flushInBothOrders(database, send(), send());
  t.equal(await readTotal(database), String(MESSAGES));
});

interface Sent {
  id: string;
  increment: string;
}

function makeIds(): string[] {
  return Array.from({ length: MESSAGES }, () => randomUUIDv7());
}

async function slowDown(database: Kysely<Database>, table: string): Promise<void> {
  await sql`create function slow() returns trigger language plpgsql
    as 'begin perform pg_sleep(${sql.lit(SLOW_S)}); return new; end'`.execute(database);
  await sql`create trigger slow before insert on ${sql.table(table)}
    for each row execute function slow()`.execute(database);
}

let sequence = 0;

async function flushInBothOrders(
  database: Kysely<Database>,
  one: Sent[],
  other: Sent[],
): Promise<void> {
  const batches = [one, other.toReversed()].map((messages) => {
    const batch = createFlushBatch();
    for (const { id, increment } of messages) {
      acceptMessage(
        batch,
        {
          data: Buffer.from(encodeEnvelope(id, [increment])),
          subject: 'increments.http',
          reply: '',
          sequence: ++sequence,
          deliveryCount: 1,
          storedAtMs: Date.now(),
        },
        { reconnectedAtMs: 0, isBeingFlushed: () => false },
      );
    }
    return batch;
  });
  await Promise.all(batches.map((batch) => flush(database, batch, INCARNATION)));
}

async function upsertAsGiven(database: Kysely<Database>, keys: string[]): Promise<void> {
  await sql`
    insert into increments (key, value) select key, 1 from unnest(${keys}::uuid[]) as batch(key)
    on conflict (key) do update set value = increments.value + 1`.execute(database);
}
