import pg from 'pg';

/** SQLSTATE classes of values that the database refuses, however often they are tried. */
const DATA_EXCEPTION = '22';
const CONSTRAINT_VIOLATION = '23';

/** Whether an error is about a value, so that the same value would fail again. */
export function isDataError(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError) || error.code === undefined) return false;
  return error.code.startsWith(DATA_EXCEPTION) || error.code.startsWith(CONSTRAINT_VIOLATION);
}

/** Whether our own code failed, over something that no check foresaw: too deep, too long, missing. */
export function isFaultOfOurs(error: unknown): boolean {
  return error instanceof RangeError || error instanceof TypeError;
}
