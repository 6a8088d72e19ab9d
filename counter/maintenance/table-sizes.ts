import { sql, type Kysely } from 'kysely';
import type { Database } from '../../schema/database/tables.ts';

export interface TableSize {
  table: string;
  /** The server's own estimate: counting the rows of a large table is slow. */
  rows: number;
  /** Including its indexes. */
  bytes: number;
}

const TABLES = [
  'increments',
  'ledger',
  'idempotency_keys',
  'dead_letters',
] as const satisfies (keyof Database)[];

export async function readTableSizes(db: Kysely<Database>): Promise<TableSize[]> {
  const { rows } = await sql<{ table: string; rows: string; bytes: string }>`
    select name as table,
      pg_stat_get_live_tuples(name::regclass) as rows,
      pg_total_relation_size(name::regclass) as bytes
    from unnest(${sql.lit(`{${TABLES.join(',')}}`)}::text[]) as name`.execute(db);
  return rows.map((row) => ({
    table: row.table,
    rows: Number(row.rows),
    bytes: Number(row.bytes),
  }));
}
