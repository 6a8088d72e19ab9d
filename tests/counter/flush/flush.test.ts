import { randomUUIDv7 } from 'node:crypto';
import { sql, type Kysely } from 'kysely';
import t from 'tap';
import { flush } from '../../../counter/flush/flush.ts';
import { flushWithRetries, type RetryOptions } from '../../../counter/flush/flush-with-retries.ts';
import { readMessage } from '../../../gateway/reads/message-routes.ts';
import { acceptMessage } from '../../../counter/consume/accept-message.ts';
import { createFlushBatch, type FlushBatch } from '../../../counter/consume/flush-batch.ts';
import type { Database } from '../../../schema/database/tables.ts';
import { encodeEnvelope, encodeIncrement } from '../../../schema/message/envelope.ts';
import { createLog } from '../../../telemetry/log.ts';
import { makeBatch } from '../../bench/harness/made-batch.ts';
import { makeKeys, readCounters } from '../../support/counters.ts';
import { startServers } from '../../support/servers.ts';

const INCARNATION = 1_800_000_000_000;

interface Sent {
  sequence: number;
  id?: string;
  value: number;
  /** Another than that of the others. */
  key?: string;
  idempotencyKey?: string;
  deliveryCount?: number;
}

void t.test(
  'keys that share their first digits, as those made by time do, are counted',
  async (t) => {
    const { database } = await startServers(t);
    const keys = Array.from({ length: 150_000 }, () => randomUUIDv7());
    await flush(database, makeBatch(keys, 7), INCARNATION);
    const counters = await readCounters(database);
    t.equal(counters.size, keys.length);
    t.ok(keys.every((key) => counters.get(key) === '7'));
  },
);

void t.test('a judgement that was not committed leaves no dead letter', async (t) => {
  const { database } = await startServers(t);
  const [key = ''] = makeKeys(1);
  const first = { sequence: 1, value: 1, idempotencyKey: 'public/a' };
  const second = { sequence: 2, value: 2, idempotencyKey: 'public/a' };

  // Both in one batch: the second loses. Then the commit fails, and they come again apart.
  await failCommits(database, async () => {
    await t.rejects(flush(database, batchOf(key, [first, second]), INCARNATION), /no commit today/);
  });
  await flush(database, batchOf(key, [second]), INCARNATION);
  await flush(database, batchOf(key, [first]), INCARNATION);

  t.strictSame(await readCounters(database), new Map([[key, '2']]));
  t.strictSame(await readDeadLetters(database), [
    { sequence: '1', reason: 'idempotency-key-reused' },
  ]);
});

void t.test('a commit whose answer was lost is repeated without counting twice', async (t) => {
  const { database } = await startServers(t);
  const [key = ''] = makeKeys(1);
  const batch = batchOf(key, [
    { sequence: 1, value: 1 },
    { sequence: 2, value: 10, idempotencyKey: 'public/b' },
    { sequence: 3, value: 100, deliveryCount: 2 },
  ]);
  t.match(await flush(database, batch, INCARNATION), {
    messages: 3,
    increments: 3,
    alreadyApplied: 0,
  });
  t.match(await flush(database, batch, INCARNATION), {
    messages: 0,
    increments: 0,
    alreadyApplied: 3,
  });
  t.strictSame(await readCounters(database), new Map([[key, '111']]));
});

void t.test(
  'a tally that is partly applied is refused, and its messages count one by one',
  async (t) => {
    const { database } = await startServers(t);
    const [key = ''] = makeKeys(1);
    const [one, two] = [randomUUIDv7(), randomUUIDv7()];
    await flush(database, batchOf(key, [{ sequence: 1, id: one, value: 1 }]), INCARNATION);
    const both = [
      { sequence: 1, id: one, value: 1 },
      { sequence: 2, id: two, value: 10 },
    ];
    await t.rejects(flush(database, batchOf(key, both), INCARNATION), {
      name: 'FlushConflict',
      reason: 'tally-split',
    });
    const again = both.map((message) => ({ ...message, deliveryCount: 2 }));
    await flush(database, batchOf(key, again), INCARNATION);
    t.strictSame(await readCounters(database), new Map([[key, '11']]));
  },
);

void t.test(
  'a message that was stored twice is counted once and settles both sequences',
  async (t) => {
    const { database } = await startServers(t);
    const [key = ''] = makeKeys(1);
    const id = randomUUIDv7();
    await flush(
      database,
      batchOf(key, [
        { sequence: 1, id, value: 5 },
        { sequence: 2, id, value: 5 },
      ]),
      INCARNATION,
    );
    await flush(database, batchOf(key, [{ sequence: 3, id, value: 5 }]), INCARNATION);
    t.strictSame(await readCounters(database), new Map([[key, '5']]));
    const rows = await database
      .selectFrom('ledger')
      .select(['sequence', 'total'])
      .orderBy('sequence')
      .execute();
    t.strictSame(rows, [
      { sequence: '1', total: '5' },
      { sequence: '2', total: '0' },
      { sequence: '3', total: '0' },
    ]);
  },
);

void t.test('a message that no check foresaw costs its neighbours nothing', async (t) => {
  const { database } = await startServers(t);
  const [key = ''] = makeKeys(1);
  const batch = batchOf(
    key,
    [1, 10, 100].map((value, index) => ({ sequence: index + 1, value, deliveryCount: 2 })),
  );
  Object.defineProperty(batch.messages.get(2)?.body?.envelope, 'increments', {
    get: () => {
      throw new RangeError('too deep');
    },
  });
  await flushWithRetries(batch, optionsOf(database));
  t.strictSame(await readCounters(database), new Map([[key, '101']]));
  t.strictSame(await readDeadLetters(database), [{ sequence: '2', reason: 'not-countable' }]);
  const { id = '' } = batch.messages.get(2) ?? {};
  t.match(await readMessage(database, id), {
    sequence: '2',
    increments: 0,
    notCounted: { 'not-countable': 1 },
  });
});

void t.test('a subject with a zero costs nobody a flush', async (t) => {
  const { database } = await startServers(t);
  const batch = createFlushBatch();
  acceptMessage(
    batch,
    {
      data: Buffer.from('not JSON'),
      subject: 'increments.a\0b',
      reply: '',
      sequence: 1,
      deliveryCount: 1,
      storedAtMs: Date.now(),
    },
    { reconnectedAtMs: 0, isBeingFlushed: () => false },
  );
  await flush(database, batch, INCARNATION);
  const deadLetters = await database.selectFrom('dead_letters').select('subject').execute();
  t.strictSame(deadLetters, [{ subject: 'increments.a\uFFFDb' }]);
});

void t.test('what the database refuses holds nothing up that comes beside it', async (t) => {
  const { database } = await startServers(t);
  const [full = '', key = ''] = makeKeys(2);
  await sql`insert into increments (key, value) values (${full}, ${'9'.repeat(38)})`.execute(
    database,
  );
  // As after a first failure: what comes again has its body, and what is new is in the tally already.
  const batch = batchOf(key, [
    { sequence: 1, value: 1 },
    { sequence: 2, value: 10, key: full, deliveryCount: 2 },
    { sequence: 3, value: 100, deliveryCount: 2 },
  ]);
  await flushWithRetries(batch, optionsOf(database));
  t.equal((await readCounters(database)).get(key), '101');
  t.strictSame(await readDeadLetters(database), [{ sequence: '2', reason: 'refused-by-database' }]);
});

function readDeadLetters(database: Kysely<Database>) {
  return database.selectFrom('dead_letters').select(['sequence', 'reason']).execute();
}

function optionsOf(database: Kysely<Database>): RetryOptions {
  return {
    database,
    readIncarnation: () => Promise.resolve(INCARNATION),
    onCommitted: () => undefined,
    retryForMs: () => 10_000,
    log: createLog('counter', 'silent'),
  };
}

function batchOf(key: string, sent: Sent[]): FlushBatch {
  const batch = createFlushBatch();
  for (const { sequence, id, value, idempotencyKey, deliveryCount = 1, ...other } of sent) {
    const increment = encodeIncrement({
      key: other.key ?? key,
      value,
      ...(idempotencyKey !== undefined && { idempotency_key: idempotencyKey }),
    });
    acceptMessage(
      batch,
      {
        data: Buffer.from(encodeEnvelope(id ?? randomUUIDv7(), [increment])),
        subject: 'increments.http',
        reply: '',
        sequence,
        deliveryCount,
        storedAtMs: Date.now(),
      },
      { reconnectedAtMs: 0, isBeingFlushed: () => false },
    );
  }
  return batch;
}

/** Lets transactions that write to the ledger fail at their very end. */
async function failCommits(database: Kysely<Database>, during: () => Promise<void>): Promise<void> {
  await sql`create function refuse() returns trigger language plpgsql
    as 'begin raise exception ''no commit today''; end'`.execute(database);
  await sql`create constraint trigger refuse after insert on ledger
    deferrable initially deferred for each row execute function refuse()`.execute(database);
  await during();
  await sql`drop trigger refuse on ledger`.execute(database);
}
