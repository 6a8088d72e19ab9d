import type { SessionSettings } from './owned-session.ts';

/** The roles of the services and of people who look; each may do what role-statements.ts says. */
export type DatabaseRole = 'gateway' | 'counter' | 'reader';

export const DATABASE_ROLES: DatabaseRole[] = ['gateway', 'counter', 'reader'];

const SESSION_SETTINGS = {
  default_transaction_isolation: 'read committed',
  row_security: 'on',
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  bytea_output: 'hex',
  extra_float_digits: '1',
  standard_conforming_strings: 'on',
  array_nulls: 'on',
  // Else a session ends at whatever is refused, such as the probe that takes back what it wrote.
  exit_on_error: 'off',
};

const ROLE_SETTINGS: Record<DatabaseRole, SessionSettings> = {
  gateway: {
    // A policy that hides a counter makes a read fail, in place of a total that is not there.
    row_security: 'off',
    default_transaction_read_only: 'on',
    statement_timeout: '2s',
  },
  counter: {
    default_transaction_read_only: 'off',
    synchronous_commit: 'on',
    // A counter service that freezes during a flush holds row locks: the server ends its transaction, so
    // that it can't block the others.
    idle_in_transaction_session_timeout: '3s',
    lock_timeout: '5s',
    statement_timeout: '10s',
    transaction_timeout: '15s',
    tcp_keepalives_idle: '5s',
    tcp_keepalives_interval: '2s',
    tcp_keepalives_count: '3',
  },
  reader: {
    default_transaction_read_only: 'on',
    statement_timeout: '30s',
    // A transaction left open would keep rows from being vacuumed.
    idle_in_transaction_session_timeout: '60s',
  },
};

/**
 * What the code relies on in every session: where the tables are, how values are written and read, and which
 * rows it sees. Names are as PostgreSQL shows them.
 */
export function sessionSettings(schema: string): SessionSettings {
  // Temporary tables come last, where they hide none of the mesh's.
  return { ...SESSION_SETTINGS, search_path: `${schema}, pg_temp` };
}

/**
 * What each role's sessions run with. They can be changed for a role, a database or a server, so services
 * send theirs with each transaction (owned-session.ts); what is stored for the role is the second line.
 */
export function roleSettings(role: DatabaseRole, schema: string): SessionSettings {
  return { ...sessionSettings(schema), ...ROLE_SETTINGS[role] };
}

/** Only a superuser can change this one: what a query of one session may put on the disk. */
export const TEMP_FILE_LIMIT = '256MB';

/** What a gateway takes, and a counter service: the size of its pool. */
export const SERVICE_CONNECTIONS_MAX = 4;

/**
 * The max_connections with which connectionLimits() lets so many services of each kind connect; not below
 * PostgreSQL's default.
 */
export function connectionsFor(services: number): number {
  return Math.max(100, Math.ceil((SERVICE_CONNECTIONS_MAX * services) / SHARE) + RESERVED);
}

/** For each kind of service. */
const SHARE = 0.4;
/** superuser_reserved_connections, as PostgreSQL has it by default. */
const RESERVED = 3;

/**
 * How many connections each role may have, so that none takes those of the others; the rest, a sixth, is for
 * the owner of the tables.
 *
 * @param usable max_connections without those that PostgreSQL reserves.
 */
export function connectionLimits(usable: number): Record<DatabaseRole, number> {
  const share = (part: number) => Math.max(1, Math.floor(usable * part));
  return { gateway: share(SHARE), counter: share(SHARE), reader: share(0.04) };
}
