import pg from 'pg';
import { describeDatabaseError } from './describe-database-error.ts';

/** What keeps a service from using its database. */
export interface DatabaseTrouble {
  /** `silent`: no answer in time; `refuses`: anything that the others do not say. */
  kind: 'away' | 'silent' | 'read-only' | 'full' | 'denied' | 'refuses';
  /** With the SQLSTATE and the user, where there are any; without secrets. */
  detail: string;
}

/** What a server in recovery says to a transaction that wants to write. */
export function isOfStandby(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError) || error.code !== '0A000') return false;
  return ['call_bool_check_hook', 'check_transaction_read_only'].includes(error.routine ?? '');
}

/** By SQLSTATE or the beginning of it. The first that matches decides. */
const KINDS: [code: string, kind: DatabaseTrouble['kind']][] = [
  ['25006', 'read-only'],
  // Disk, memory, connections.
  ['53', 'full'],
  ['42501', 'denied'],
  ['28', 'denied'],
  // Cancelled for its time, and a lock that somebody keeps.
  ['57014', 'silent'],
  ['55P03', 'silent'],
  ['25P04', 'silent'],
  ['08', 'away'],
  ['57P', 'away'],
];

const DETAIL_LENGTH_MAX = 300;

/** @param user of the connection, by which a missing right is found. */
export function describeTrouble(error: unknown, user?: string): DatabaseTrouble {
  const sqlState = error instanceof pg.DatabaseError ? error.code : undefined;
  const who = user === undefined ? '' : ` as ${user}`;
  const code = sqlState === undefined ? '' : `${sqlState}${who}: `;
  return {
    kind: kindOf(error, sqlState),
    detail: `${code}${describeDatabaseError(error)}`.slice(0, DETAIL_LENGTH_MAX),
  };
}

function kindOf(error: unknown, sqlState: string | undefined): DatabaseTrouble['kind'] {
  if (sqlState === undefined) {
    // What node-postgres says of its own time-outs has no code.
    const text = error instanceof Error ? error.message : String(error);
    return /time-?d? ?out|timeout/i.test(text) && !/ETIMEDOUT/.test(text) ? 'silent' : 'away';
  }
  if (isOfStandby(error)) return 'read-only';
  return KINDS.find(([start]) => sqlState.startsWith(start))?.[1] ?? 'refuses';
}
