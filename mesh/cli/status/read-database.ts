import { performance } from 'node:perf_hooks';
import { sql, type Kysely } from 'kysely';
import { readParkedState, type ParkedState } from '../../../schema/database/parked-state.ts';
import type { Database } from '../../../schema/database/tables.ts';

export interface DatabaseStatus {
  version: string;
  answerMs: number;
  counters: number;
  ledgerRows: number;
  idempotencyKeys: number;
  /** Whether one of them is an estimate by PostgreSQL: counting the rows of a large table takes long. */
  isEstimated: boolean;
  bytes: number;
  /** Messages of a newer version, which no counter service that runs understands. */
  parked: ParkedState;
}

export async function readDatabase(db: Kysely<Database>): Promise<DatabaseStatus> {
  const startedAt = performance.now();
  const { rows } = await sql<
    Omit<DatabaseStatus, 'answerMs' | 'isEstimated' | 'bytes' | 'parked'> & { bytes: string }
  >`
    select current_setting('server_version') as version,
      ${countRows('increments')} as counters,
      ${countRows('ledger')} as "ledgerRows",
      ${countRows('idempotency_keys')} as "idempotencyKeys",
      pg_database_size(current_database()) as bytes`.execute(db);
  const found = rows[0]!;
  const answerMs = Math.round(performance.now() - startedAt);
  const { counters, ledgerRows, idempotencyKeys } = found;
  const isEstimated = Math.max(counters, ledgerRows, idempotencyKeys) > COUNTED_MAX;
  const parked = await readParkedState(db);
  return { ...found, isEstimated, bytes: Number(found.bytes), answerMs, parked };
}

/** More rows are not counted one by one. */
const COUNTED_MAX = 10_000;

/**
 * PostgreSQL's estimate is 0 until it has looked at a table. Fails where there is no such table, so that the
 * database of another program is noticed.
 */
function countRows(table: string) {
  const counted = sql`(select count(*) from (select from ${sql.table(table)} limit ${sql.lit(COUNTED_MAX + 1)}) as few)`;
  return sql`(select case when n > ${sql.lit(COUNTED_MAX)}
    then greatest(n, pg_stat_get_live_tuples(${sql.lit(table)}::regclass)) else n end
    from (select ${counted} as n) as counted)::integer`;
}
