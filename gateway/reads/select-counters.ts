import { sql, type Kysely, type RawBuilder } from 'kysely';
import type { Database } from '../../schema/database/tables.ts';

/** How complete counters are; null where no counter service has told yet. */
export interface Completeness {
  /** Every increment that was stored before this time of the broker is in them. */
  through: Date | null;
  /** Every increment up to this sequence of the current stream is in them. */
  sequence: number | null;
}

export interface CounterRow {
  key: string;
  /** A decimal string. */
  value: string;
  updated_at: Date;
}

interface Found {
  counters: CounterRow[];
  complete: Completeness;
}

/** The counters with these lower-case keys and how complete they are, in one snapshot. */
export function selectCounters(database: Kysely<Database>, keys: string[]): Promise<Found> {
  // As one value, which thousands of keys fit in, and which goes into a text.
  const wanted = `{${keys.join(',')}}`;
  return selectWithProgress(
    database,
    sql`select key, value, updated_at from increments where key = any(${wanted}::uuid[])`,
  );
}

/** So many counters behind a lower-case key, in the order of keys, and how complete they are. */
export function listCounters(
  database: Kysely<Database>,
  { after, limit }: { after: string | undefined; limit: number },
): Promise<Found> {
  return selectWithProgress(
    database,
    sql`select key, value, updated_at from increments ${behind(after)} order by key limit ${limit}`,
  );
}

/** The condition for the counters behind a key, or for all. */
export function behind(after: string | undefined): RawBuilder<unknown> {
  return after === undefined ? sql`` : sql`where key > ${after}::uuid`;
}

/** One statement, so that the counters hold what their completeness says. */
async function selectWithProgress(
  database: Kysely<Database>,
  counters: RawBuilder<unknown>,
): Promise<Found> {
  const { rows } = await sql<
    Progress & { [Column in keyof CounterRow]: CounterRow[Column] | null }
  >`
    select progress.*, key, value, updated_at
    from (${progress}) as progress left join (${counters}) as found on true`.execute(database);
  return {
    counters: rows.filter((row): row is Progress & CounterRow => row.key !== null),
    complete: readProgress(rows[0]),
  };
}

/** How complete counters are that are read from now on. */
export async function selectCompleteness(database: Kysely<Database>): Promise<Completeness> {
  const { rows } = await progress.execute(database);
  return readProgress(rows[0]);
}

interface Progress {
  through: Date | null;
  sequence: string | null;
}

/** A stream that is made again begins at 1, and time goes on. */
const progress = sql<Progress>`
  select max(complete_through) as through,
    (array_agg(complete_sequence order by incarnation desc))[1] as sequence
  from streams`;

function readProgress(row: Progress | undefined): Completeness {
  const sequence = row?.sequence ?? null;
  return { through: row?.through ?? null, sequence: sequence === null ? null : Number(sequence) };
}

/** As answers have it. */
export function describeComplete({ through, sequence }: Completeness): {
  complete_through: string | null;
  complete_sequence: number | null;
} {
  return { complete_through: through?.toISOString() ?? null, complete_sequence: sequence };
}
