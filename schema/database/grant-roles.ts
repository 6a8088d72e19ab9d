import { sql, type Kysely } from 'kysely';
import {
  connectionLimits,
  ROLE_SETTINGS,
  TEMP_FILE_LIMIT,
  type DatabaseRole,
} from './role-settings.ts';
import { scramVerifier } from './scram-verifier.ts';
import type { Database } from './tables.ts';

export interface RoleOptions {
  /** A role without a password is not made. */
  passwords: Partial<Record<DatabaseRole, string>>;
  /** In place of connectionLimits(). */
  connectionsMax?: Partial<Record<DatabaseRole, number>>;
  /** Told of each right that could not be taken away, with what to do. */
  say?: (line: string) => void;
}

const TABLES =
  'increments, ledger, idempotency_keys, dead_letters, parked_messages, streams, kysely_migration';

const GRANTS: Record<DatabaseRole, string[]> = {
  mesh_gateway: [
    'select on increments',
    'select (id, sequence, stored_at) on ledger',
    'select (version, incarnation, sequence, id, stored_at) on parked_messages',
    'select on kysely_migration',
  ],
  mesh_counter: [
    'select, insert, update on increments',
    'select, insert, update, delete on ledger, idempotency_keys',
    'select, insert, delete on dead_letters, parked_messages',
    'select, insert, update on streams',
    'select on kysely_migration',
  ],
  mesh_reader: ['select on increments, ledger, streams'],
};

/**
 * Makes the roles, or brings them to this version: password, connections, settings and rights. What a role
 * has stored for itself, and what it was granted by hand, is removed.
 */
export async function grantRoles(db: Kysely<Database>, options: RoleOptions): Promise<void> {
  const { database, schema, usable, isSuperuser } = await readServer(db);
  const run = (statement: string) => sql.raw(statement).execute(db);
  await run(`revoke temporary on database ${database} from public`);
  await run(`revoke create on schema ${schema} from public`);

  const limits = { ...connectionLimits(usable), ...options.connectionsMax };
  for (const [name, password] of Object.entries(options.passwords)) {
    const role = name as DatabaseRole;
    const verifier = await scramVerifier(password);
    await createRole(db, role);
    await run(`alter role ${role} login password '${verifier}' connection limit ${limits[role]}`);
    await run(`alter role ${role} reset all`);
    await run(`alter role ${role} in database ${database} reset all`);
    for (const [setting, value] of Object.entries(ROLE_SETTINGS[role])) {
      // A list in one pair of quotes would be one name.
      const list = value.split(', ').map((item) => `'${item}'`);
      await run(`alter role ${role} set ${setting} = ${list.join(', ')}`);
    }
    if (isSuperuser) await limitTempFiles(db, role);
    await run(`grant connect on database ${database} to ${role}`);
    await run(`revoke all on ${TABLES} from ${role}`);
    for (const grant of GRANTS[role]) await run(`grant ${grant} to ${role}`);
  }
  await sayWhatIsLeft(db, { database, schema }, options);
}

/** A role belongs to all databases of the server, so it may exist already. */
export async function createRole(db: Kysely<Database>, role: string): Promise<void> {
  const { rows } = await sql`select 1 from pg_roles where rolname = ${role}`.execute(db);
  if (rows.length === 0) await sql`create role ${sql.id(role)}`.execute(db);
}

/** Takes a superuser. */
export async function limitTempFiles(db: Kysely<Database>, role: DatabaseRole): Promise<void> {
  const limit = sql.lit(TEMP_FILE_LIMIT);
  await sql`alter role ${sql.id(role)} set temp_file_limit = ${limit}`.execute(db);
}

interface Server {
  /** Both as identifiers in SQL. */
  database: string;
  schema: string;
  /** Connections that are not reserved. */
  usable: number;
  isSuperuser: boolean;
}

async function readServer(db: Kysely<Database>): Promise<Server> {
  const { rows } = await sql<Server>`
    select quote_ident(current_database()) as database,
      quote_ident(current_schema()) as schema,
      current_setting('max_connections')::integer
        - current_setting('superuser_reserved_connections')::integer
        - current_setting('reserved_connections')::integer as usable,
      (select rolsuper from pg_roles where rolname = current_user) as "isSuperuser"`.execute(db);
  return rows[0]!;
}

/** PostgreSQL only warns where it revokes nothing, since the owner of the object is somebody else. */
async function sayWhatIsLeft(
  db: Kysely<Database>,
  { database, schema }: Pick<Server, 'database' | 'schema'>,
  { passwords, say }: RoleOptions,
): Promise<void> {
  const roles = Object.keys(passwords);
  const { rows } = await sql<{ temporary: boolean; create: boolean; unlimited: string[] | null }>`
    select bool_or(has_database_privilege(oid, current_database(), 'temporary')) as temporary,
      bool_or(has_schema_privilege(oid, current_schema(), 'create')) as create,
      array_agg(rolname::text order by rolname)
        filter (where array_to_string(rolconfig, ' ') not like '%temp_file_limit=%') as unlimited
    from pg_roles where rolname = any(${roles})`.execute(db);
  const { temporary, create, unlimited } = rows[0]!;
  if (temporary) {
    say?.(
      `every role may make temporary tables in ${database}, and only its owner can change that: ` +
        `revoke temporary on database ${database} from public`,
    );
  }
  if (create) {
    say?.(
      `every role may make tables in the schema ${schema}, and only its owner can change that: ` +
        `revoke create on schema ${schema} from public`,
    );
  }
  if (unlimited !== null) {
    say?.(
      `no limit for temporary files of ${unlimited.join(', ')}, which only a superuser can set: ` +
        `alter role … set temp_file_limit = '${TEMP_FILE_LIMIT}'`,
    );
  }
}
