import { sql, type Kysely } from 'kysely';
import type { Database } from '../../schema/database/tables.ts';
import type { ClearRequest } from '../../schema/message/clear-request.ts';

/** What was there. */
export interface ClearedCounter {
  /** A decimal string. */
  value: string;
  clearedAt: Date;
}

/**
 * Removes a counter and keeps a record of what it had, so that the books stay balanced: what was booked is
 * counted or cleared.
 *
 * It locks one row and then waits for nothing, so it can't deadlock with a flush. Where a flush has the row, it
 * waits and takes what the flush has made of it; a flush that waits for it begins the counter anew.
 *
 * @param lockMs how long it may wait.
 * @returns undefined if there is no such counter.
 */
export function clearCounter(
  database: Kysely<Database>,
  { key, by, request_id }: Pick<ClearRequest, 'key' | 'by' | 'request_id'>,
  lockMs: number,
): Promise<ClearedCounter | undefined> {
  return database.transaction().execute(async (db) => {
    await sql`set local lock_timeout = ${sql.lit(`${lockMs}ms`)}`.execute(db);
    const { rows } = await sql<{ value: string; cleared_at: Date }>`
      with removed as (delete from increments where key = ${key} returning key, value)
      insert into cleared_counters (key, value, cleared_by, request_id)
      select key, value, ${by}, ${request_id} from removed
      returning value, cleared_at`.execute(db);
    const [row] = rows;
    return row && { value: row.value, clearedAt: row.cleared_at };
  });
}
