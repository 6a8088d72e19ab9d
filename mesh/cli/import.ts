import { accessSync, constants } from 'node:fs';
import { resolve } from 'node:path';
import { sql, type Kysely } from 'kysely';
import { array, STATEMENT_ROWS_MAX } from '../../counter/flush/statement-rows.ts';
import { liftTransactionTimeout } from '../../schema/database/lift-transaction-timeout.ts';
import type { Database } from '../../schema/database/tables.ts';
import { EXIT, type Command } from './command.ts';
import { confirm } from './confirm.ts';
import { readCounterFile, readLines, type FiledCounter } from './counter-file.ts';
import { Refusal, UsageError } from './errors.ts';
import { formatCount, plural } from '../../telemetry/quantities.ts';

/** `import`: the counters of an exported file, into an empty mesh. */
export const importCommand: Command = {
  name: 'import',
  synopsis: 'FILE [--yes]',
  summary: 'Puts the counters of an exported file into an empty mesh',
  help: `
Reads a file that export wrote, and puts its counters into a mesh that has counted nothing yet, in one
transaction: all of them or none. Their sum is booked as carried forward, so that the books balance.

A file whose last line is missing, or counts other than what is there, is refused, and so is a line
that is not a counter, or whose key does not come after the one before. Counter services wait while this
runs.

  --yes   does not ask; for scripts`,
  options: { yes: { type: 'boolean' } },
  words: { min: 1, max: 1 },
  run: async (context) => {
    const { servers, print, words, terminal } = context;
    const file = resolve(terminal.environment.INIT_CWD ?? '', words[0] ?? '');
    refuseUnreadable(file);
    const database = await servers.database();
    await refuseUnlessEmpty(database);
    const question = `This puts the counters of ${file} into the mesh. It can't be undone.`;
    if (!(await confirm(question, context))) {
      print({ imported: false }, () => 'Nothing was changed.');
      return EXIT.bad;
    }
    const { counters, sum } = await importCounters(database, readLines(file));
    print(
      { imported: true, counters, sum },
      () => `${plural(counters, 'counter')} (sum ${formatCount(sum)}) imported.`,
    );
    return EXIT.fine;
  },
};

const LOCK_TIMEOUT = '30s';

/** The tables are locked as for a clear, so that nothing is counted meanwhile. @throws Refusal */
export function importCounters(
  database: Kysely<Database>,
  lines: AsyncIterable<string>,
): Promise<{ counters: number; sum: string }> {
  return database.transaction().execute(async (db) => {
    await liftTransactionTimeout(db);
    await sql`set local lock_timeout = ${sql.lit(LOCK_TIMEOUT)}`.execute(db);
    await sql`lock table streams in exclusive mode`.execute(db);
    await sql`lock table ledger, increments in share row exclusive mode`.execute(db);
    await refuseUnlessEmpty(db);
    const { counters } = await readCounterFile(lines, {
      rowsMax: STATEMENT_ROWS_MAX,
      take: (part) => insert(db, part),
    });
    return { counters, sum: await bookAll(db) };
  });
}

function refuseUnreadable(file: string): void {
  try {
    accessSync(file, constants.R_OK);
  } catch (error) {
    throw new UsageError(`the file can't be read: ${(error as Error).message}`, { cause: error });
  }
}

/** What an idle mesh stores adds nothing. */
async function refuseUnlessEmpty(db: Kysely<Database>): Promise<void> {
  const { rows } = await sql<{ isEmpty: boolean }>`
    select not exists (select from increments)
      and not exists (select from ledger where increments > 0)
      and not exists (select from streams where carried_increments > 0 or carried_total > 0)
      and not exists (select from parked_messages) as "isEmpty"`.execute(db);
  if (rows[0]?.isEmpty === true) return;
  throw new Refusal(
    'nothing was imported: this mesh has counted already. Import into one with a new database',
  );
}

async function insert(db: Kysely<Database>, counters: FiledCounter[]): Promise<void> {
  await sql`
    insert into increments (key, value, updated_at)
    select * from unnest(
      ${array(counters, ({ key }) => key)}::uuid[],
      ${array(counters, ({ value }) => value)}::numeric[],
      ${array(counters, ({ updatedAt }) => updatedAt)}::timestamptz[])`.execute(db);
}

/** As what was carried forward of a stream that never was: others were made after 1970. */
const NO_STREAM = 0;

async function bookAll(db: Kysely<Database>): Promise<string> {
  const { rows } = await sql<{ sum: string }>`
    insert into streams (incarnation, pruned_through, carried_total)
    select ${NO_STREAM}, 0, coalesce(sum(value), 0) from increments
    on conflict (incarnation) do update set carried_total = excluded.carried_total
    returning carried_total as sum`.execute(db);
  return rows[0]?.sum ?? '0';
}
