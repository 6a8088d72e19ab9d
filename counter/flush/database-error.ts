import pg from 'pg';
import { isOfStandby } from '../../schema/database/database-trouble.ts';

/** SQLSTATE classes of values that the database refuses at every attempt. */
const DATA_EXCEPTION = '22';
const CONSTRAINT_VIOLATION = '23';

/**
 * SQLSTATEs, or their classes, of errors that pass without a change of what is written: they say something
 * of the connection, the session, other transactions or the server.
 */
const PASSING = [
  '08', // the connection
  '25', // the state of the transaction: read-only, idle for too long, too long
  '26', // a prepared statement that a pooler has lost
  '28', // the role may not log in now
  '3D', // the database is not there now
  '40', // serialization, deadlocks
  '53', // connections, memory, disk
  '55006', // in use
  '55P03', // a lock
  '57', // cancelled, shut down, starting
  '58', // the operating system's errors
];

/** Whether a value caused the error, so that it would fail again. */
export function isDataError(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError) || error.code === undefined) return false;
  return error.code.startsWith(DATA_EXCEPTION) || error.code.startsWith(CONSTRAINT_VIOLATION);
}

/**
 * Whether the database refuses what is written: a value, or what a trigger, a policy, a partition or an
 * extension does with it. All that is not known to pass is taken for it.
 */
export function isRefusal(error: unknown): error is pg.DatabaseError {
  if (!(error instanceof pg.DatabaseError) || error.code === undefined) return false;
  const { code } = error;
  return !isOfStandby(error) && !PASSING.some((start) => code.startsWith(start));
}

/** Whether another transaction was in the way: a deadlock, or a serialization failure. */
export function isConflict(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code?.startsWith('40') === true;
}

/** Whether the work was too much for one statement or one transaction. */
export function isTooSlow(error: unknown): boolean {
  return error instanceof pg.DatabaseError && ['57014', '25P04'].includes(error.code ?? '');
}

/** Whether our own code failed on input that no check foresaw: too deep, too long, missing. */
export function isProgramError(error: unknown): boolean {
  return error instanceof RangeError || error instanceof TypeError;
}

/** The longest text of an error that is kept with a dead letter, in characters. */
const TEXT_LENGTH_MAX = 200;

/** SQLSTATE and message in one line, as a dead letter has them. */
export function describeRefusal(error: unknown): string {
  const { code = '', message } = error as { code?: string; message: string };
  const line = `${code} ${message}`.trim().replaceAll(/[\p{Cc}\s]+/gu, ' ');
  return line.length > TEXT_LENGTH_MAX ? `${line.slice(0, TEXT_LENGTH_MAX - 1)}…` : line;
}
