import { sql, type Kysely } from 'kysely';
import {
  defaultRolePrefix,
  OWN_SERVER_PREFIX,
  roleMark,
  roleNames,
  type RoleNames,
} from './database-names.ts';
import { TABLES } from './role-statements.ts';
import type { DatabaseRole } from './role-settings.ts';
import { readOurMigrations } from './schema-version.ts';
import { findOldVersion } from './server-version.ts';

/** A database as the owner of the tables finds it. */
export interface Survey extends Server {
  /** Tables of an earlier version are in the schema `public`, and there are none in ours. */
  hasFormerTables: boolean;
  names: RoleNames;
  /** Why it can't be used, each with what to do. */
  problems: string[];
}

interface Server {
  user: string;
  database: string;
  /** Connections that are not reserved. */
  usable: number;
  isSuperuser: boolean;
  hasSchema: boolean;
}

export interface SurveyOptions {
  schema: string;
  rolePrefix?: string | undefined;
  /** The roles that are to be made or brought to this version. */
  roles: DatabaseRole[];
}

/** Looks at everything that a migration needs, and changes nothing. */
export async function surveyDatabase(
  db: Kysely<any>,
  { schema, rolePrefix, roles }: SurveyOptions,
): Promise<Survey> {
  const server = await readServer(db, schema);
  const tables = await readTables(db, schema);
  const former = await readTables(db, 'public');
  const hasOwn = await areOurs(db, schema, tables);
  const hasFormerTables =
    schema !== 'public' && tables.length === 0 && (await areOurs(db, 'public', former));
  const place = hasFormerTables ? 'public' : schema;
  const names = roleNames(rolePrefix ?? (await findPrefix(db, place, { server, schema })));
  const problems = [
    ...findServerProblems(server),
    ...findSchemaProblems(server, schema),
    ...(hasOwn ? [] : findForeignTables(tables, schema)),
    ...findOtherOwners(hasFormerTables ? former : tables, server),
    ...findRoleProblems(
      await readRoles(
        db,
        roles.map((role) => names[role]),
      ),
      server,
      {
        isAnyWanted: roles.length > 0,
        mark: roleMark(server.database, schema),
        isFormer:
          names.counter === roleNames(OWN_SERVER_PREFIX).counter && rolePrefix === undefined,
      },
    ),
  ];
  return { ...server, hasFormerTables, names, problems };
}

interface ServerRow extends Server {
  /** The server_version_num. */
  version: number;
  isStandby: boolean;
  fsync: string;
  fullPageWrites: string;
  mayMakeRoles: boolean;
  mayMakeSchema: boolean;
  mayUseSchema: boolean;
}

async function readServer(db: Kysely<any>, schema: string): Promise<ServerRow> {
  const { rows } = await sql<ServerRow>`
    select current_user::text as user, current_database()::text as database,
      current_setting('server_version_num')::integer as version,
      current_setting('max_connections')::integer
        - current_setting('superuser_reserved_connections')::integer
        - coalesce(current_setting('reserved_connections', true)::integer, 0) as usable,
      pg_is_in_recovery() as "isStandby",
      current_setting('fsync') as fsync,
      current_setting('full_page_writes') as "fullPageWrites",
      rolsuper as "isSuperuser", rolsuper or rolcreaterole as "mayMakeRoles",
      has_database_privilege(current_database(), 'create') as "mayMakeSchema",
      schema.oid is not null as "hasSchema",
      coalesce(has_schema_privilege(schema.oid, 'create')
        and has_schema_privilege(schema.oid, 'usage'), false) as "mayUseSchema"
    from pg_roles left join pg_namespace as schema on nspname = ${schema}
    where rolname = current_user`.execute(db);
  return rows[0]!;
}

interface Table {
  oid: number;
  name: string;
  owner: string;
  /** We are the owner, or a member of that role. */
  isOwned: boolean;
}

async function readTables(db: Kysely<any>, schema: string): Promise<Table[]> {
  const { rows } = await sql<Table>`
    select pg_class.oid, relname::text as name, relowner::regrole::text as owner,
      pg_has_role(relowner, 'usage') as "isOwned"
    from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where nspname = ${schema} and relkind in ('r', 'p', 'v', 'm', 'f')
      and relname in (${sql.join([...TABLES, ...MIGRATION_TABLES])})
    order by relname`.execute(db);
  return rows;
}

export const MIGRATION_TABLES = ['kysely_migration', 'kysely_migration_lock'];

/**
 * Whether tables are those of a mesh: its first migration was run there, and the ledger has a ledger's
 * columns. Those of another application of Kysely, or other tables of such names, have not.
 */
async function areOurs(db: Kysely<any>, schema: string, tables: Table[]): Promise<boolean> {
  const find = (name: string) => tables.find((table) => table.name === name)?.oid;
  const [migrations, ledger] = [find('kysely_migration'), find('ledger')];
  if (migrations === undefined || ledger === undefined) return false;
  const { rows } = await sql<{ mayRead: boolean; columns: number }>`
    select has_schema_privilege(relnamespace, 'usage')
        and has_table_privilege(pg_class.oid, 'select') as "mayRead",
      (select count(*)::integer from pg_attribute
      where attrelid = ${ledger} and not attisdropped
        and attname in (${sql.join(LEDGER_COLUMNS)})) as columns
    from pg_class where oid = ${migrations}`.execute(db);
  if (rows[0]?.mayRead !== true || rows[0].columns !== LEDGER_COLUMNS.length) return false;
  const { rows: run } = await sql<{ name: string }>`
    select name from ${sql.table(`${schema}.kysely_migration`)} order by name limit 1`.execute(db);
  return run[0]?.name === readOurMigrations()[0];
}

const LEDGER_COLUMNS = [
  'id',
  'incarnation',
  'sequence',
  'stored_at',
  'digest',
  'increments',
  'total',
];

/**
 * A mesh of an earlier version has roles whose names say nothing of its database. It keeps them, unless they
 * are marked as those of another mesh.
 */
async function findPrefix(
  db: Kysely<any>,
  place: string,
  { server, schema }: { server: Server; schema: string },
): Promise<string> {
  const { counter } = roleNames(OWN_SERVER_PREFIX);
  const mark = roleMark(server.database, schema);
  const { rows } = await sql<{ isOurs: boolean }>`
    select coalesce(shobj_description(pg_roles.oid, 'pg_authid'), ${mark}) = ${mark} as "isOurs"
    from pg_class join pg_namespace on pg_namespace.oid = relnamespace,
      aclexplode(relacl) as acl join pg_roles on pg_roles.oid = grantee
    where nspname = ${place} and relname = 'ledger' and rolname = ${counter}
    limit 1`.execute(db);
  if (rows[0]?.isOurs === true) return OWN_SERVER_PREFIX;
  return defaultRolePrefix(server.database, schema);
}

interface Role {
  name: string;
  comment: string | null;
  mayChange: boolean;
}

async function readRoles(db: Kysely<any>, names: string[]): Promise<Role[]> {
  if (names.length === 0) return [];
  // Before version 16, who may make roles may change all that are no superusers.
  const { rows } = await sql<Role>`
    select rolname::text as name, shobj_description(oid, 'pg_authid') as comment,
      current_setting('server_version_num')::integer < 160000
        or pg_has_role(oid, 'usage with admin option') as "mayChange"
    from pg_roles where rolname in (${sql.join(names)}) order by rolname`.execute(db);
  return rows;
}

function findServerProblems(server: ServerRow): string[] {
  const problems: string[] = [];
  const old = findOldVersion(server.version);
  if (old !== undefined) problems.push(old);
  if (server.isStandby) {
    problems.push(
      'the server is a standby, which takes no writes (25006): give the primary, or all servers and ' +
        'target_session_attrs=read-write',
    );
  }
  for (const [name, value] of Object.entries({
    fsync: server.fsync,
    full_page_writes: server.fullPageWrites,
  })) {
    if (value !== 'on')
      problems.push(`${name} is ${value}: a power failure would lose counts. Turn it on`);
  }
  return problems;
}

function findSchemaProblems(server: ServerRow, schema: string): string[] {
  const { user, database } = server;
  if (server.hasSchema && !server.mayUseSchema) {
    return [
      `permission denied for schema ${schema} (42501): grant usage, create on schema ${schema} to "${user}"`,
    ];
  }
  if (!server.hasSchema && !server.mayMakeSchema) {
    return [
      `permission denied for database ${database} (42501): in it, create schema ${schema} authorization "${user}"`,
    ];
  }
  return [];
}

function findForeignTables(tables: Table[], schema: string): string[] {
  // A lock is all that an interrupted first migration leaves.
  const foreign = tables.filter(({ name }) => name !== 'kysely_migration_lock');
  if (foreign.length === 0) return [];
  const names = foreign.map(({ name }) => name).join(', ');
  return [`the schema ${schema} has tables of others (${names}): choose another DATABASE_SCHEMA`];
}

function findOtherOwners(tables: Table[], { user }: Server): string[] {
  const owners = new Set(tables.filter(({ isOwned }) => !isOwned).map(({ owner }) => owner));
  return [...owners].map((owner) => {
    const names = tables.filter((table) => table.owner === owner).map(({ name }) => name);
    return (
      `must be owner of table ${names[0]} (42501): ${names.join(', ')} belong to ${owner}; ` +
      `grant ${owner} to "${user}", or connect as ${owner}`
    );
  });
}

function findRoleProblems(
  found: Role[],
  server: ServerRow,
  { mark, isFormer, isAnyWanted }: { mark: string; isFormer: boolean; isAnyWanted: boolean },
): string[] {
  const problems: string[] = [];
  const { user } = server;
  for (const { name, comment, mayChange } of found) {
    if (comment !== mark && !(isFormer && comment === null)) {
      const whose = comment === null ? 'was not made by this mesh' : `is of "${comment}"`;
      problems.push(
        `the role ${name} ${whose}, and its password and rights are left as they are: choose another ` +
          'DATABASE_ROLE_PREFIX, or give its URL in GATEWAY_DATABASE_URL or COUNTER_DATABASE_URL',
      );
    } else if (!server.isSuperuser && server.mayMakeRoles && !mayChange) {
      problems.push(
        `permission denied to alter role ${name} (42501): grant ${name} to "${user}" with admin option`,
      );
    }
  }
  if (!server.mayMakeRoles && isAnyWanted) {
    problems.push(
      `permission denied to create role (42501): alter role "${user}" createrole; or let a DBA make the ` +
        'roles with `npm run mesh -- sql`, and give GATEWAY_DATABASE_URL and COUNTER_DATABASE_URL',
    );
  }
  return problems;
}

/** Whether others than the mesh have tables or views in the database; those of extensions are nobody's. */
export async function isDatabaseShared(db: Kysely<any>, schema: string): Promise<boolean> {
  const { rows } = await sql<{ isShared: boolean }>`
    select exists (
      select from pg_class join pg_namespace on pg_namespace.oid = relnamespace
      where relkind in ('r', 'p', 'v', 'm', 'f') and nspname !~ '^pg_'
        and nspname not in ('information_schema', ${schema})
        and not exists (
          select from pg_depend
          where classid = 'pg_class'::regclass and objid = pg_class.oid and deptype = 'e'
        )
    ) as "isShared"`.execute(db);
  return rows[0]?.isShared ?? true;
}
