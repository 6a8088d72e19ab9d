import { randomUUID } from 'node:crypto';
import type { Kysely } from 'kysely';
import t from 'tap';
import { recordComplete } from '../../../counter/settle/record-complete.ts';
import { selectCompleteness } from '../../../gateway/reads/select-counters.ts';
import type { Database } from '../../../schema/database/tables.ts';
import { startServers } from '../../support/servers.ts';

const INCARNATION = 1_800_000_000_000;
const incarnation = String(INCARNATION);
/** When message n was stored. */
const storedMs = (sequence: number) => INCARNATION + 1_000 * sequence;

void t.test('counters are never said to be more complete than they are', async (t) => {
  const { database } = await startServers(t);
  await database.insertInto('streams').values({ incarnation, pruned_through: '0' }).execute();
  const read = async () => {
    const { through, sequence } = await selectCompleteness(database);
    return { ms: through === null ? null : through.getTime() - INCARNATION, sequence };
  };
  const record = (floor: number, lastSequence: number, completeMs?: number) =>
    recordComplete(database, reading(lastSequence, completeMs), floor);
  t.strictSame(await read(), { ms: null, sequence: null }, 'nothing is known at first');

  await record(0, 0, INCARNATION + 500);
  t.strictSame(await read(), { ms: 500, sequence: 0 }, 'an empty stream: when it was read');

  await settle(database, [1, 2, 3]);
  await record(3, 5, storedMs(7));
  t.strictSame(await read(), { ms: 2_999, sequence: 3 }, 'a floor: when its message was stored');

  await record(3, 3);
  t.strictSame(await read(), { ms: 2_999, sequence: 3 }, 'a reading that is unsure moves nothing');
  await record(3, 3, storedMs(6));
  t.strictSame(await read(), { ms: 6_000, sequence: 3 }, 'time moves on while nothing comes');
  await record(2, 3, storedMs(4));
  t.strictSame(await read(), { ms: 6_000, sequence: 3 }, 'and never back');

  await settle(database, [7, 8, 9]);
  await park(database, 8);
  await record(9, 9, storedMs(12));
  t.strictSame(await read(), { ms: 7_999, sequence: 7 }, 'what is parked is not counted');
  await database.deleteFrom('parked_messages').execute();
  await record(9, 9, storedMs(12));
  t.strictSame(await read(), { ms: 12_000, sequence: 9 }, 'until it is');

  const again = String(INCARNATION + 60_000);
  await database
    .insertInto('streams')
    .values({ incarnation: again, pruned_through: '0' })
    .execute();
  t.strictSame(await read(), { ms: 12_000, sequence: null }, 'a stream that is made again');
  const recordAgain = (brokerMs: number) =>
    recordComplete(database, { ...reading(0, brokerMs), incarnation: Number(again), brokerMs }, 0);
  await recordAgain(Number(again) + 50_000);
  t.strictSame(
    await read(),
    { ms: 12_000, sequence: null },
    'is awaited: messages of the former one may be held',
  );
  await recordAgain(Number(again) + 70_000);
  t.strictSame(await read(), { ms: 130_000, sequence: 0 }, 'for a minute');
});

function reading(lastSequence: number, completeMs?: number) {
  return {
    incarnation: INCARNATION,
    firstSequence: 1,
    lastSequence,
    messages: lastSequence,
    unsettledSinceMs: 0,
    brokerMs: 0,
    isLate: false,
    completeMs,
  };
}

async function settle(database: Kysely<Database>, sequences: number[]): Promise<void> {
  const rows = sequences.map((sequence) => ({
    id: randomUUID(),
    incarnation,
    sequence: String(sequence),
    stored_at: new Date(storedMs(sequence)),
    digest: randomUUID(),
    increments: 1,
    total: '1',
  }));
  await database.insertInto('ledger').values(rows).execute();
}

async function park(database: Kysely<Database>, sequence: number): Promise<void> {
  const row = {
    version: '9',
    incarnation,
    sequence: String(sequence),
    id: randomUUID(),
    subject: 'increments.http',
    stored_at: new Date(storedMs(sequence)),
    payload: Buffer.from('{}'),
  };
  await database.insertInto('parked_messages').values(row).execute();
}
