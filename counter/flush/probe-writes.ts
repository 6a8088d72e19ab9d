import { randomInt, randomUUID } from 'node:crypto';
import { sql, type Kysely } from 'kysely';
import type { Database } from '../../schema/database/tables.ts';
import { digest } from '../../schema/digest.ts';
import { isRefusal } from './database-error.ts';
import { insertMessages } from './ledger.ts';
import { upsertCounters } from './upsert-counters.ts';

/** How many counters are tried, and how many other keys: a rule of the database may be about some keys. */
const COUNTERS_TRIED = 3;
const KEYS_TRIED = 20;

/** Nobody waits long for the locks of a probe, and somebody's lock is named sooner than a flush would. */
const LOCK_TIMEOUT = '1s';

/**
 * The other tables that a flush may write, without a row: a right that is missing there must not make dead
 * letters of what needs it.
 */
const TOUCH_OTHERS = `
  with claimed as (insert into idempotency_keys select * from idempotency_keys where false),
    dead as (insert into dead_letters select * from dead_letters where false),
    parked as (insert into parked_messages select * from parked_messages where false),
    unparked as (delete from parked_messages where false),
    corrected as (update ledger set increments = increments where false),
    replaced as (delete from ledger where false)
  update streams set complete_through = complete_through where false`;

/** The same as in steps, in one round trip, since idle services do it all the time. An exception takes it back. */
const AT_ONCE = `
  do $probe$ begin
    perform set_config('lock_timeout', '${LOCK_TIMEOUT}', true);
    set constraints all immediate;
    insert into ledger (incarnation, id, sequence, stored_at, digest, increments, total)
      values (0, gen_random_uuid(), 1 + (random() * 1e14)::bigint, now(), gen_random_uuid(), 1, 1)
      on conflict do nothing;
    insert into increments (key, value) values (gen_random_uuid(), 1)
      on conflict (key) do update
      set value = increments.value + excluded.value, updated_at = excluded.updated_at;
    ${TOUCH_OTHERS};
    raise sqlstate 'PROBE';
  exception when sqlstate 'PROBE' then null;
  end $probe$`;

/**
 * Writes as a flush does, a message and an increment, and takes it back. If the database takes these, an
 * error of a flush comes from what was flushed.
 *
 * @param keys to try if a new one is refused, besides those of some counters.
 * @throws the database's error if it takes nothing.
 */
export async function probeWrites(
  database: Kysely<Database>,
  keys: Iterable<string> = [],
): Promise<void> {
  try {
    await sql.raw(AT_ONCE).execute(database);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    await probeInSteps(database, keys);
  }
}

/** Says of a refusal whether it is of all that is written, or of some keys or the probe at once. */
async function probeInSteps(database: Kysely<Database>, keys: Iterable<string>): Promise<void> {
  const transaction = await database.startTransaction().execute();
  try {
    await sql`set local lock_timeout = ${sql.lit(LOCK_TIMEOUT)}; set constraints all immediate`.execute(
      transaction,
    );
    const id = randomUUID();
    const message = { id, sequence: randomInt(1, 2 ** 47), storedAtMs: Date.now() };
    // No stream was made in 1970, so no row of a stream is in the way.
    await insertMessages(transaction, 0, [
      { ...message, digest: digest(id), increments: 1, total: 1 },
    ]);
    await addToSome(transaction, keys);
    await sql.raw(TOUCH_OTHERS).execute(transaction);
  } finally {
    // The error that matters is that of the probe; with a lost connection there is nothing to take back.
    await transaction
      .rollback()
      .execute()
      .catch(() => undefined);
  }
}

async function addToSome(db: Kysely<Database>, keys: Iterable<string>): Promise<void> {
  await sql`savepoint probe`.execute(db);
  const refusal = await add(db, randomUUID());
  if (refusal === undefined) return;
  const counters = await db.selectFrom('increments').select('key').limit(COUNTERS_TRIED).execute();
  const others = counters.map(({ key }) => key);
  for (const key of keys) if (others.push(key) === COUNTERS_TRIED + KEYS_TRIED) break;
  for (const key of others) if ((await add(db, key)) === undefined) return;
  throw refusal;
}

/** @returns the database's error. */
async function add(db: Kysely<Database>, key: string): Promise<Error | undefined> {
  try {
    await upsertCounters(db, new Map([[key, 1]]));
    return undefined;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    await sql`rollback to savepoint probe`.execute(db);
    return error;
  }
}
