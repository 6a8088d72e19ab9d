import { sql, type Kysely } from 'kysely';
import type { LastLine } from '../../schema/http/counter.ts';
import { liftTransactionTimeout } from '../../schema/database/lift-transaction-timeout.ts';
import type { Database } from '../../schema/database/tables.ts';
import {
  behind,
  describeComplete,
  selectCompleteness,
  type CounterRow,
} from './select-counters.ts';

/** Rows in one chunk: a hundred kilobytes, and less than the event loop notices. */
const CHUNK_ROWS = 1_000;
/** While nobody takes the next chunk, the connection says so often that it is alive. */
const ALIVE_MS = 5_000;

/**
 * All counters as PostgreSQL has them at one moment, or those behind a lower-case key: NDJSON in the order of
 * keys, in chunks of whole lines, of which only one is in memory. The last line says how complete they are and
 * how many. The snapshot, and the connection, are kept until the end or until the generator is returned.
 */
export async function* readCounterLines(
  database: Kysely<Database>,
  after?: string,
): AsyncGenerator<string, void, undefined> {
  const transaction = await database
    .startTransaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute();
  try {
    await liftTransactionTimeout(transaction);
    await sql`select ${ownLimits}`.execute(transaction);
    const complete = await selectCompleteness(transaction);
    await sql`
      declare counters no scroll cursor for
      select key, value, updated_at from increments ${behind(after)} order by key`.execute(
      transaction,
    );
    let count = 0;
    for (;;) {
      const { rows } = await sql<CounterRow>`
        fetch forward ${sql.lit(CHUNK_ROWS)} from counters`.execute(transaction);
      if (rows.length === 0) break;
      count += rows.length;
      yield* keepAlive(transaction, rows.map(asLine).join(''));
    }
    const last: LastLine = { ...describeComplete(complete), counters: count };
    yield `${JSON.stringify(last)}\n`;
  } finally {
    // Where the connection broke, that has been said.
    await transaction
      .rollback()
      .execute()
      .catch(() => undefined);
  }
}

/**
 * Where this process freezes, PostgreSQL ends the snapshot. The rows come one by one by the primary key, since
 * sorting them all would take memory, and time before the first.
 */
const ownLimits = sql`
  set_config('idle_in_transaction_session_timeout', '30s', true),
  set_config('cursor_tuple_fraction', '0.000001', true)`;

/** A connection that is silent for long is closed, by this process or by what is in between. */
async function* keepAlive(
  transaction: Kysely<Database>,
  chunk: string,
): AsyncGenerator<string, void, undefined> {
  let asked: Promise<unknown> | undefined;
  const timer = setInterval(() => {
    // If it fails, so does the next statement, which says it.
    asked = sql`select 1`.execute(transaction).catch(() => undefined);
  }, ALIVE_MS);
  try {
    yield chunk;
  } finally {
    clearInterval(timer);
    await asked;
  }
}

/** The columns hold nothing that JSON would escape. */
function asLine({ key, value, updated_at: updatedAt }: CounterRow): string {
  return `{"key":"${key}","value":"${value}","updated_at":"${updatedAt.toISOString()}"}\n`;
}
