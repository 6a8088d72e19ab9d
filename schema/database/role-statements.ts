import pg from 'pg';
import { roleMark } from './database-names.ts';
import { SETTINGS_SINCE } from './owned-session.ts';
import { roleSettings, TEMP_FILE_LIMIT, type DatabaseRole } from './role-settings.ts';

export interface RolePlan {
  database: string;
  schema: string;
  /** Who runs the statements can set what only a superuser can. */
  isSuperuser: boolean;
  /** Others than the mesh have something in the database. */
  isShared: boolean;
  roles: PlannedRole[];
}

export interface PlannedRole {
  role: DatabaseRole;
  name: string;
  /** Left out for a role that somebody else has made: it gets its rights, and is left as it is otherwise. */
  own?: {
    /** In the form of scram-verifier.ts; without one the role has the password that it had. */
    verifier?: string | undefined;
    connectionsMax?: number | undefined;
  };
}

/** What the migrations make. */
export const TABLES = [
  'increments',
  'ledger',
  'idempotency_keys',
  'dead_letters',
  'parked_messages',
  'streams',
  'cleared_counters',
];

const GRANTS: Record<DatabaseRole, string[]> = {
  gateway: [
    'select on increments',
    'select (id, sequence, stored_at, increments, not_counted) on ledger',
    'select (version, incarnation, sequence, id, stored_at) on parked_messages',
    'select (incarnation, complete_through, complete_sequence) on streams',
    'select on kysely_migration',
  ],
  counter: [
    'select, insert, update, delete on increments',
    'select, insert, update, delete on ledger, idempotency_keys',
    'select, insert, delete on dead_letters, parked_messages',
    'select, insert, update on streams',
    'select, insert on cleared_counters',
    'select on kysely_migration',
  ],
  reader: ['select on increments, ledger, streams, cleared_counters'],
};

/**
 * Statements that make the roles, or bring them to this version: password, connections and settings. What a
 * role has stored for itself is removed.
 */
export function makeRoles(plan: RolePlan): string[] {
  return plan.roles.flatMap((planned) => makeRole(planned, plan));
}

/**
 * Statements that give each role its rights, once the tables are there; what it was granted by hand on them is
 * removed. Tables are named without their schema, so the search_path must be the schema's.
 */
export function grantRights(plan: RolePlan): string[] {
  const database = pg.escapeIdentifier(plan.database);
  const schema = pg.escapeIdentifier(plan.schema);
  // Others may need what is not the mesh's alone.
  const isOwnSchema = plan.schema !== 'public' || !plan.isShared;
  const revoked = [
    ...(plan.isShared ? [] : [`revoke temporary on database ${database} from public`]),
    ...(isOwnSchema ? [`revoke create on schema ${schema} from public`] : []),
  ];
  const ofRoles = plan.roles.flatMap((planned) => {
    const name = pg.escapeIdentifier(planned.name);
    return [
      `grant connect on database ${database} to ${name}`,
      `grant usage on schema ${schema} to ${name}`,
      `revoke all on ${TABLES.join(', ')}, kysely_migration from ${name}`,
      ...GRANTS[planned.role].map((grant) => `grant ${grant} to ${name}`),
    ];
  });
  return [...revoked, ...ofRoles];
}

function makeRole({ role, name: plain, own }: PlannedRole, plan: RolePlan): string[] {
  if (own === undefined) return [];
  const name = pg.escapeIdentifier(plain);
  const database = pg.escapeIdentifier(plan.database);
  const password = own.verifier === undefined ? '' : ` password '${own.verifier}'`;
  const limit = own.connectionsMax === undefined ? '' : ` connection limit ${own.connectionsMax}`;
  const settings = Object.entries(roleSettings(role, plan.schema)).map(([setting, value]) => {
    // A list in one pair of quotes would be one name.
    const list = value.split(', ').map((item) => pg.escapeLiteral(item));
    const set = `alter role ${name} set ${setting} = ${list.join(', ')}`;
    const since = SETTINGS_SINCE[setting];
    if (since === undefined) return set;
    const isThere = `current_setting('server_version_num')::integer >= ${since}`;
    return `do $$ begin if ${isThere} then ${set}; end if; end $$`;
  });
  return [
    createRole(plain),
    markRole(plain, plan),
    `alter role ${name} login${password}${limit}`,
    `alter role ${name} reset all`,
    `alter role ${name} in database ${database} reset all`,
    ...settings,
    ...(plan.isSuperuser ? [limitTempFiles(plain)] : []),
  ];
}

/** A role belongs to all databases of the server, so it may exist already. */
export function createRole(name: string): string {
  const create = `create role ${pg.escapeIdentifier(name)}`;
  const exists = `select from pg_roles where rolname = ${pg.escapeLiteral(name)}`;
  return `do $$ begin if not exists (${exists}) then ${create}; end if; end $$`;
}

/** By its mark a mesh knows its roles from those of others on the server; one that is marked stays so. */
export function markRole(
  name: string,
  { database, schema }: Pick<RolePlan, 'database' | 'schema'>,
): string {
  const role = pg.escapeIdentifier(name);
  const found = `shobj_description(${pg.escapeLiteral(role)}::regrole, 'pg_authid')`;
  const comment = `comment on role ${role} is ${pg.escapeLiteral(roleMark(database, schema))}`;
  return `do $$ begin if ${found} is null then ${comment}; end if; end $$`;
}

/** Takes a superuser. */
export function limitTempFiles(name: string): string {
  return `alter role ${pg.escapeIdentifier(name)} set temp_file_limit = '${TEMP_FILE_LIMIT}'`;
}
