import pg from 'pg';

/** SQLSTATE classes of values that the database refuses at every attempt. */
const DATA_EXCEPTION = '22';
const CONSTRAINT_VIOLATION = '23';

/** Whether a value caused the error, so that it would fail again. */
export function isDataError(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError) || error.code === undefined) return false;
  return error.code.startsWith(DATA_EXCEPTION) || error.code.startsWith(CONSTRAINT_VIOLATION);
}

/** Whether our own code failed on input that no check foresaw: too deep, too long, missing. */
export function isProgramError(error: unknown): boolean {
  return error instanceof RangeError || error instanceof TypeError;
}
