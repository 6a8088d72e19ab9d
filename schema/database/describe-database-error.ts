const MIGRATION = '`npm start` or `npm run provision`';
const NOT_MIGRATED = `the tables are those of another version or not there: run the migration (${MIGRATION})`;
const WRONG_USER = `check user and password in DATABASE_URL; the migration makes the roles and sets their passwords (${MIGRATION})`;
const WRONG_WAY = `${WRONG_USER}; a server that takes encrypted connections only needs sslmode=require in DATABASE_URL, or better verify-full`;
const UNTRUSTED =
  'name the authority of its certificate by sslrootcert=FILE in DATABASE_URL; or sslmode=require, which encrypts and does not verify';
const UNREACHABLE = 'check host and port in DATABASE_URL, and whether PostgreSQL runs there';

/** By SQLSTATE or by the system's error code: what an operator can do about it. */
const ADVICE: Record<string, string> = {
  '08P01':
    'a pooler such as PgBouncer must know this user and its password (auth_file or auth_query)',
  '28P01': WRONG_USER,
  '28000': WRONG_WAY,
  '3D000': 'make the database, or correct its name in DATABASE_URL; then run the migration',
  '42P01': NOT_MIGRATED,
  '42703': NOT_MIGRATED,
  '42501': `DATABASE_URL has the user of another role, or the migration has not granted this one its rights (${MIGRATION})`,
  '25006':
    'DATABASE_URL leads to a standby: name all servers and target_session_attrs=read-write in it',
  '53300':
    'run fewer gateways and counter services, or raise max_connections of PostgreSQL and migrate again, which sets the limits of the roles',
  '55P03':
    'a session keeps a lock for longer: look for it with `select pid, usename, state, xact_start from pg_stat_activity order by xact_start`, and end it',
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  ERR_TLS_CERT_ALTNAME_INVALID:
    'write the host of DATABASE_URL as in the certificate; or sslmode=verify-ca, which verifies no name',
  ECONNREFUSED: UNREACHABLE,
  ENOTFOUND: UNREACHABLE,
  EHOSTUNREACH: UNREACHABLE,
  ETIMEDOUT: UNREACHABLE,
};

/** What the database refused or why it can't be reached, and what to do, in one line without secrets. */
export function describeDatabaseError(error: unknown): string {
  const { message, code } = error as NodeJS.ErrnoException;
  const advice = ADVICE[findCode(error) ?? ''];
  // If a name has several addresses and none answers, Node gives a code and no message.
  const what = (message || code || String(error)).replaceAll(/\s*\n\s*/g, ' ');
  return advice === undefined ? what : `${what}; ${advice}`;
}

/** For a list of servers, the cause is the error of the last one. */
function findCode(error: unknown): string | undefined {
  for (let each = error; each instanceof Error; each = each.cause) {
    const { code } = each as NodeJS.ErrnoException;
    if (code !== undefined) return code;
  }
  return undefined;
}
