import pg from 'pg';
import { describeDatabaseUrl, parseDatabaseUrl } from '../../schema/database/database-url.ts';

/** By SQLSTATE: what whoever runs the database can do. */
const ADVICE: Record<string, string> = {
  '08P01': 'a pooler in between must know this user and let transactions through',
  '28P01': 'check user and password in its URL',
  '28000':
    'the server lets this user in neither from here nor so: see its pg_hba.conf, and sslmode in the URL',
  '3D000': 'make the database, or correct its name in the URL',
  '42501': 'grant what is missing: `npm run mesh -- sql` prints every right',
  '42P01': 'make the tables: `npm run provision`, or what `npm run mesh -- sql` prints',
  '25006': 'give the primary, or all servers and target_session_attrs=read-write',
  '53300': 'raise max_connections, or the connection limit of the role',
};

/** Errors of a server that may answer a moment later. */
const PASSING = ['08000', '08003', '08006', '40', '53', '55P03', '57', '58'];

/** OpenSSL's and Node's refusals of a server's certificate. */
const CERTIFICATE = /^(CERT|DEPTH|SELF|UNABLE|ERR_TLS|HOSTNAME)_/;

/** @param who whose URL it is. @throws the error, if it may pass by waiting. */
export function describeProblem(who: string, url: string, error: unknown): string {
  const { message, code, name } = error as NodeJS.ErrnoException;
  // What our own checks throw says all.
  if (name === 'UnsafeDatabase' || name === 'EarlierSchema') return message;
  // The driver gives it no code.
  if (message.includes('does not support SSL')) {
    return `${who} ${parseDatabaseUrl(url).user} at ${describeDatabaseUrl(url)}: ${message}; turn ssl on there, or choose another sslmode in the URL`;
  }
  const isRefusal = error instanceof pg.DatabaseError || CERTIFICATE.test(code ?? '');
  if (!isRefusal || code === undefined) throw error;
  if (PASSING.some((start) => code.startsWith(start))) throw error;
  const advice = ADVICE[code] === undefined ? '' : `; ${ADVICE[code]}`;
  return `${who} ${parseDatabaseUrl(url).user} at ${describeDatabaseUrl(url)}: ${message} (${code})${advice}`;
}
