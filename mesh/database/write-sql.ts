import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import {
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
} from 'kysely';
import { FileMigrationProvider } from 'kysely/migration';
import pg from 'pg';
import {
  OWN_SERVER_PREFIX,
  roleNames,
  type RoleNames,
} from '../../schema/database/database-names.ts';
import { moveTables } from '../../schema/database/migrate.ts';
import { createMigrationLock } from '../../schema/database/migration-lock.ts';
import { DATABASE_ROLES, type DatabaseRole } from '../../schema/database/role-settings.ts';
import {
  grantRights,
  limitTempFiles,
  makeRoles,
  type RolePlan,
} from '../../schema/database/role-statements.ts';
import { MIGRATIONS, readOurMigrations } from '../../schema/database/schema-version.ts';
import { scramVerifier } from '../../schema/database/scram-verifier.ts';
import { readVersion } from '../../schema/version.ts';

export interface SqlOptions {
  database: string;
  schema: string;
  names: RoleNames;
  /** A role without one keeps the password that it has. */
  passwords: Partial<Record<DatabaseRole, string>>;
  /** Without the tables and the rights on them, which the owner's migration makes. */
  rolesOnly: boolean;
}

/**
 * What a DBA runs where the mesh may not make schema, tables or roles itself. It is compiled from the same
 * migrations and statements, and can be run again: after an upgrade it adds what is missing.
 */
export async function writeSql(options: SqlOptions): Promise<string> {
  const { database, schema, names, passwords, rolesOnly } = options;
  const verifiers = DATABASE_ROLES.map(async (role) => {
    const password = passwords[role];
    const verifier = password === undefined ? undefined : await scramVerifier(password);
    return { role, name: names[role], own: { verifier } };
  });
  const plan: RolePlan = {
    database,
    schema,
    isSuperuser: false,
    isShared: true,
    roles: await Promise.all(verifiers),
  };
  const place = pg.escapeLiteral(database);
  const wrong = `raise exception 'this is not the database %', ${place}`;
  const statements = [
    'begin',
    `do $$ begin if current_database() <> ${place} then ${wrong}; end if; end $$`,
    ...warnOfFormerRoles(options),
    ...(rolesOnly ? [] : await makeTables(schema)),
    ...makeRoles(plan),
    ...(rolesOnly ? grantConnect(plan) : grantRights(plan)),
    'commit',
  ];
  return [...head(options), ...statements.map((one) => `${one};`), ...foot(plan)].join('\n');
}

async function makeTables(schema: string): Promise<string[]> {
  const name = pg.escapeIdentifier(schema);
  const provider = new FileMigrationProvider({ fs, path, migrationFolder: MIGRATIONS });
  const blocks: string[] = [];
  for (const [migration, made] of Object.entries(await provider.getMigrations())) {
    const literal = pg.escapeLiteral(migration);
    const lines = [
      ...(await compile((db) => made.up(db))),
      `insert into kysely_migration values (${literal}, ${NOW})`,
    ];
    const missing = `if not exists (select from kysely_migration where name = ${literal}) then`;
    blocks.push(
      `do $migration$ begin ${missing}\n${lines.map((line) => `  ${line};\n`).join('')}end if; end $migration$`,
    );
  }
  return [
    `create schema if not exists ${name}`,
    ...(await moveFormerTables(schema)),
    `set local search_path = ${name}, pg_temp`,
    ...(await compile(createMigrationLock)),
    'create table if not exists kysely_migration (name varchar(255) primary key, timestamp varchar(255) not null)',
    ...blocks,
  ];
}

/** Those of an earlier version are in `public`, with all counts: as migrate() moves them. */
async function moveFormerTables(schema: string): Promise<string[]> {
  if (schema === 'public') return [];
  const is = (table: string) => `to_regclass(${pg.escapeLiteral(table)}) is not null`;
  const first = pg.escapeLiteral(readOurMigrations()[0]!);
  // As text, since a block is parsed as a whole where the tables are not there.
  const isOurs = pg.escapeLiteral(`select from public.kysely_migration where name = ${first}`);
  const moves = await compile((db) => moveTables(db, schema));
  const isThere = `${is('public.ledger')} and ${is('public.kysely_migration')}`;
  const isFree = `not (${is(`${pg.escapeIdentifier(schema)}.ledger`)})`;
  const lines = [
    'do $former$ declare found integer := 0; begin',
    `  if ${isThere} and ${isFree} then`,
    `    execute ${isOurs};`,
    '    get diagnostics found = row_count;',
    '  end if;',
    '  if found > 0 then',
    ...moves.map((move) => `    ${move};`),
    `    raise notice 'the tables were moved from the schema public to ${schema}';`,
    '  end if;',
    'end $former$',
  ];
  return [lines.join('\n')];
}

/** As Kysely writes when a migration was run. */
const NOW = `to_char(now() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/** The statements that a migration would run. */
async function compile(run: (db: Kysely<any>) => Promise<void>): Promise<string[]> {
  const statements: string[] = [];
  const db = new Kysely<any>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: (each) => new PostgresIntrospector(each),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
    log: ({ query }) => {
      if (query.parameters.length > 0) throw new TypeError(`a parameter in ${query.sql}`);
      statements.push(query.sql);
    },
  });
  await run(db);
  return statements;
}

/** Services that still log in as them would keep their rights beside the new roles. */
function warnOfFormerRoles({ schema, names }: SqlOptions): string[] {
  const former = roleNames(OWN_SERVER_PREFIX).counter;
  if (names.counter === former) return [];
  const mayCount = ['public', schema].map(
    (place) =>
      `coalesce(has_table_privilege(oid, to_regclass(${pg.escapeLiteral(`"${place}".ledger`)}), 'insert'), false)`,
  );
  const advice = `this database has roles of an earlier version, such as ${former}: to keep them, make this text again with DATABASE_ROLE_PREFIX=${OWN_SERVER_PREFIX}`;
  return [
    `-- Roles of an earlier version are kept by DATABASE_ROLE_PREFIX=${OWN_SERVER_PREFIX}\n` +
      `do $$ begin if exists (select from pg_roles where rolname = '${former}' and (${mayCount.join(' or ')})) then raise warning '${advice}'; end if; end $$`,
  ];
}

function grantConnect({ database, roles }: RolePlan): string[] {
  const name = pg.escapeIdentifier(database);
  return roles.map(
    (role) => `grant connect on database ${name} to ${pg.escapeIdentifier(role.name)}`,
  );
}

function head({ database, rolesOnly }: SqlOptions): string[] {
  const what = rolesOnly ? 'the roles' : 'schema, tables, roles and rights';
  return [
    `-- increment-mesh ${readVersion()}: ${what} in the database ${database}.`,
    '-- Run it there as a superuser, or as a role that may make these; and again after an upgrade.',
  ];
}

function foot({ database, roles }: RolePlan): string[] {
  const name = pg.escapeIdentifier(database);
  const withoutPassword = roles.filter(({ own }) => own?.verifier === undefined);
  return [
    '',
    ...withoutPassword.map((role) => `-- No password is set here: \\password ${role.name}`),
    '-- A superuser can limit what a session puts on the disk:',
    ...roles.map((role) => `-- ${limitTempFiles(role.name)};`),
    '-- If nobody else in this database needs temporary tables:',
    `-- revoke temporary on database ${name} from public;`,
    '',
  ];
}
