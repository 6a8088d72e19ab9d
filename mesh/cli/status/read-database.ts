import { performance } from 'node:perf_hooks';
import { sql, type Kysely } from 'kysely';
import { readParkedState, type ParkedState } from '../../../schema/database/parked-state.ts';
import type { Database } from '../../../schema/database/tables.ts';

export interface DatabaseStatus {
  version: string;
  answerMs: number;
  /** Rows are estimates by PostgreSQL: counting those of a large table takes long. */
  counters: number;
  ledgerRows: number;
  idempotencyKeys: number;
  bytes: number;
  /** Messages of a newer version, which no counter service that runs understands. */
  parked: ParkedState;
}

export async function readDatabase(db: Kysely<Database>): Promise<DatabaseStatus> {
  const startedAt = performance.now();
  const { rows } = await sql<
    Omit<DatabaseStatus, 'answerMs' | 'bytes' | 'parked'> & { bytes: string }
  >`
    select current_setting('server_version') as version,
      ${estimate('increments')} as counters,
      ${estimate('ledger')} as "ledgerRows",
      ${estimate('idempotency_keys')} as "idempotencyKeys",
      pg_database_size(current_database()) as bytes`.execute(db);
  const found = rows[0]!;
  const answerMs = Math.round(performance.now() - startedAt);
  return { ...found, bytes: Number(found.bytes), answerMs, parked: await readParkedState(db) };
}

/** Fails where there is no such table, so that the database of another program is noticed. */
function estimate(table: string) {
  return sql`pg_stat_get_live_tuples(${sql.lit(table)}::regclass)::integer`;
}
