import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import { pathToFileURL } from 'node:url';
import { sql, type Kysely } from 'kysely';
import { FileMigrationProvider, Migrator } from 'kysely/migration';
import { DEFAULT_SCHEMA, type RoleNames } from './database-names.ts';
import { openDatabase } from './database.ts';
import { createMigrationLock, lockMigrations } from './migration-lock.ts';
import { PreflightFailed } from './preflight-failed.ts';
import { connectionLimits, sessionSettings, type DatabaseRole } from './role-settings.ts';
import { grantRights, makeRoles, TABLES, type PlannedRole } from './role-statements.ts';
import { MIGRATIONS, refuseLaterSchema } from './schema-version.ts';
import { sayWhatIsLeft } from './say-what-is-left.ts';
import { scramVerifier } from './scram-verifier.ts';
import { isDatabaseShared, MIGRATION_TABLES, surveyDatabase, type Survey } from './survey.ts';
import type { Database } from './tables.ts';

/** A session that keeps a lock on a table must not stop a migration without a word. */
const LOCK_TIMEOUT = '30s';

export interface MigrateOptions {
  /** The URL of the role that owns the tables, or will. */
  ownerUrl: string;
  schema?: string | undefined;
  /** In place of the names that surveyDatabase() finds. */
  rolePrefix?: string | undefined;
  /** Of the roles to make. A role without a password, and without a name below, is not made. */
  passwords: Partial<Record<DatabaseRole, string>>;
  /** Roles that somebody else has made: they only get their rights. */
  existingRoles?: Partial<RoleNames>;
  /** In place of connectionLimits(). */
  connectionsMax?: Partial<Record<DatabaseRole, number>>;
  /** Told of what was moved, and of each right that could not be taken away, with what to do. */
  say?: (line: string) => void;
}

/**
 * Brings the tables to this version, moves those of a version that kept them in `public`, and makes the roles:
 * one reads counters and which messages are committed, one writes counters and ledgers, one is for people who
 * look. One transaction. Safe to repeat and to run several times at once.
 *
 * @returns the names of the roles.
 * @throws PreflightFailed before anything is changed; LaterSchema if a later version has changed the tables.
 */
export async function migrate(options: MigrateOptions): Promise<RoleNames> {
  const schema = options.schema ?? DEFAULT_SCHEMA;
  const db = openOwner(options.ownerUrl, schema);
  try {
    const survey = await surveyOwner(db, options);
    if (survey.problems.length > 0) throw new PreflightFailed(survey.problems);
    try {
      await bring(db, { ...options, schema, survey });
    } catch (error) {
      const isGone = survey.hasFormerTables && (error as { code?: string }).code === '42P01';
      if (!isGone) throw error;
      // Another migration has moved them meanwhile.
      const again = await surveyOwner(db, options);
      await bring(db, { ...options, schema, survey: again });
    }
    return { ...survey.names, ...options.existingRoles };
  } finally {
    await db.destroy();
  }
}

/** For migrations and for what precedes them; as the role that owns the tables. */
export function openOwner(ownerUrl: string, schema: string): Kysely<Database> {
  return openDatabase(ownerUrl, {
    name: 'increment-mesh migrate',
    connectionsMax: 1,
    queryTimeoutMs: 120_000,
    settings: {
      ...sessionSettings(schema),
      default_transaction_read_only: 'off',
      lock_timeout: LOCK_TIMEOUT,
      statement_timeout: '0',
    },
    onBrokenConnection: () => undefined,
  });
}

/** What migrate() looks at first. */
export async function surveyOwner(
  db: Kysely<Database>,
  options: Pick<MigrateOptions, 'schema' | 'rolePrefix' | 'passwords' | 'existingRoles'>,
): Promise<Survey> {
  return surveyDatabase(db, {
    schema: options.schema ?? DEFAULT_SCHEMA,
    rolePrefix: options.rolePrefix,
    roles: rolesToMake(options),
  });
}

function rolesToMake({
  passwords,
  existingRoles = {},
}: Pick<MigrateOptions, 'passwords' | 'existingRoles'>): DatabaseRole[] {
  return (Object.keys(passwords) as DatabaseRole[]).filter(
    (role) => passwords[role] !== undefined && existingRoles[role] === undefined,
  );
}

async function bring(
  db: Kysely<Database>,
  options: MigrateOptions & { schema: string; survey: Survey },
): Promise<void> {
  const { schema, survey, say } = options;
  const roles = await planRoles(options);
  if (!survey.hasFormerTables) {
    await createSchema(db, options);
    await createMigrationLock(db);
  }
  await db.transaction().execute(async (transaction) => {
    if (survey.hasFormerTables) {
      await moveFormerTables(transaction, options);
      say?.(`the tables were moved from the schema public to ${schema}`);
    }
    await lockMigrations(transaction);
    await refuseLaterSchema(transaction);
    await runMigrations(transaction, schema);
    const isShared = await isDatabaseShared(transaction, schema);
    const plan = { ...survey, schema, isShared, roles };
    for (const statement of [...makeRoles(plan), ...grantRights(plan)]) {
      await sql.raw(statement).execute(transaction);
    }
    const names = roles.map(({ name }) => name);
    if (say !== undefined) await sayWhatIsLeft(transaction, { ...survey, schema, names, say });
  });
}

async function planRoles({
  survey,
  passwords,
  existingRoles = {},
  connectionsMax = {},
}: MigrateOptions & { survey: Survey }): Promise<PlannedRole[]> {
  const limits = { ...connectionLimits(survey.usable), ...connectionsMax };
  const own = rolesToMake({ passwords, existingRoles }).map(async (role) => ({
    role,
    name: survey.names[role],
    own: { verifier: await scramVerifier(passwords[role]!), connectionsMax: limits[role] },
  }));
  const existing = Object.entries(existingRoles)
    // The owner has every right, and would take its own away.
    .filter(([, name]) => name !== survey.user)
    .map(([role, name]) => ({ role: role as DatabaseRole, name }));
  return [...(await Promise.all(own)), ...existing];
}

/** "If not exists" would take the right to make one. */
async function createSchema(
  db: Kysely<Database>,
  { schema, survey }: { schema: string; survey: Survey },
): Promise<void> {
  if (survey.hasSchema) return;
  await db.schema
    .createSchema(schema)
    .ifNotExists()
    .execute()
    .catch((error: unknown) => {
      // Another session has made it at the same moment.
      if ((error as { code?: string }).code !== '23505') throw error;
    });
}

/** They keep their rows, indexes and rights. Transactions that use them end first. */
async function moveFormerTables(
  db: Kysely<Database>,
  options: { schema: string; survey: Survey },
): Promise<void> {
  await sql`lock table public.kysely_migration_lock in access exclusive mode`.execute(db);
  await createSchema(db, options);
  await moveTables(db, options.schema);
}

/** From `public`, those that are there. */
export async function moveTables(db: Kysely<Database>, schema: string): Promise<void> {
  for (const table of [...TABLES, ...MIGRATION_TABLES]) {
    const name = sql.table(`public.${table}`);
    await sql`alter table if exists ${name} set schema ${sql.id(schema)}`.execute(db);
  }
}

async function runMigrations(db: Kysely<any>, schema: string): Promise<void> {
  const provider = new FileMigrationProvider({
    fs,
    path,
    migrationFolder: MIGRATIONS,
    // As a URL, since a path may have # or % in it.
    import: (file) => import(pathToFileURL(file).href),
  });
  const migrator = new Migrator({ db, provider, migrationTableSchema: schema });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) throw error;
}
