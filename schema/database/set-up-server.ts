import { sql, type Kysely } from 'kysely';
import { randomBytes } from 'node:crypto';
import { parseDatabaseUrl, withDatabaseName, withDatabaseUser } from './database-url.ts';
import { onDatabase } from './database.ts';
import { DEFAULT_SCHEMA, OWN_SERVER_PREFIX, roleNames } from './database-names.ts';
import { createRole, limitTempFiles, markRole } from './role-statements.ts';
import { scramVerifier } from './scram-verifier.ts';
import type { Database } from './tables.ts';

/** Owns the database and its tables, makes the other roles, and is no superuser. */
export const OWNER = 'owner';
export const SUPERUSER = 'postgres';

export interface SetUpOptions {
  /** Of the role `postgres`, with the name of the mesh's database. */
  superuserUrl: string;
  ownerPassword: string;
  schema?: string | undefined;
  rolePrefix?: string | undefined;
}

/**
 * What only a superuser can do, on a server that is the mesh's own: makes the database and its owner, and
 * takes from every other role what PostgreSQL gives to all. Can be repeated.
 *
 * In version 0.1.0 the owner was the superuser; such a server is brought to this form.
 */
export async function setUpServer(options: SetUpOptions): Promise<void> {
  const { superuserUrl } = options;
  const { database: name } = parseDatabaseUrl(superuserUrl);
  const create = () =>
    onDatabase(withDatabaseName(superuserUrl, 'postgres'), SET_UP, (db) =>
      createDatabase(db, name),
    );
  await create().catch(async (error: unknown) => {
    const isRefused = (error as { code?: string }).code === WRONG_PASSWORD;
    if (!isRefused || !(await separateSuperuser(options))) throw error;
    await create();
  });
  await onDatabase(superuserUrl, SET_UP, (db) =>
    db.transaction().execute((transaction) => handOver(transaction, name, options)),
  );
}

const WRONG_PASSWORD = '28P01';
const FORMER_NAME = 'mesh_set_up';
const SET_UP = { name: 'increment-mesh set-up', queryTimeoutMs: 60_000 };

async function createDatabase(db: Kysely<Database>, name: string): Promise<void> {
  const { rows } = await sql`select 1 from pg_database where datname = ${name}`.execute(db);
  if (rows.length === 0) await sql`create database ${sql.id(name)}`.execute(db);
}

async function handOver(
  db: Kysely<Database>,
  name: string,
  { ownerPassword, schema = DEFAULT_SCHEMA, rolePrefix = OWN_SERVER_PREFIX }: SetUpOptions,
): Promise<void> {
  const run = (statement: string) => sql.raw(statement).execute(db);
  const database = `"${name.replaceAll('"', '""')}"`;
  await run(`drop role if exists ${FORMER_NAME}`);
  await run(createRole(OWNER));
  const verifier = await scramVerifier(ownerPassword);
  await run(`alter role ${OWNER} login nosuperuser createrole password '${verifier}'`);
  await run(`alter database ${database} owner to ${OWNER}`);
  const { rows: versions } = await sql<{ hasOptions: boolean }>`
    select current_setting('server_version_num')::integer >= 160000 as "hasOptions"`.execute(db);
  const admin = versions[0]?.hasOptions
    ? 'with admin true, inherit false, set false'
    : 'with admin option';
  const { rows: tables } = await sql<{ statement: string }>`
    select format('alter table %s owner to ${sql.raw(OWNER)}', oid::regclass) as statement
    from pg_class
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
      and relowner = (select oid from pg_roles where rolname = current_user)`.execute(db);
  for (const { statement } of tables) await run(statement);

  for (const role of Object.values(roleNames(rolePrefix))) {
    await run(createRole(role));
    await run(markRole(role, { database: name, schema }));
    await run(limitTempFiles(role));
    await run(`grant "${role}" to ${OWNER} ${admin}`);
  }
  // For people: what services run with is their own.
  await run(`alter database ${database} set search_path = "${schema}"`);
  await run(`revoke connect, temporary on database ${database}, postgres, template1 from public`);
  // Version 0.1.0 looks there whether its database exists.
  await run(`grant connect on database postgres to ${OWNER}`);
}

/**
 * A session can't rename its own role, and PostgreSQL's first role stays a superuser: so another superuser
 * renames it, for the moment.
 *
 * @returns false, with nothing done, where the owner is no superuser.
 */
async function separateSuperuser({ superuserUrl, ownerPassword }: SetUpOptions): Promise<boolean> {
  const password = randomBytes(16).toString('hex');
  const url = withDatabaseName(superuserUrl, 'postgres');
  const isFormer = await onDatabase(
    withDatabaseUser(url, OWNER, ownerPassword),
    SET_UP,
    async (db) => {
      const { rows } = await sql<{ super: boolean }>`
      select rolsuper as super from pg_roles where rolname = current_user`.execute(db);
      if (rows[0]?.super !== true) return false;
      await sql.raw(createRole(FORMER_NAME)).execute(db);
      const verifier = await scramVerifier(password);
      await sql.raw(`alter role ${FORMER_NAME} login superuser password '${verifier}'`).execute(db);
      return true;
    },
  );
  if (!isFormer) return false;
  const verifier = await scramVerifier(parseDatabaseUrl(superuserUrl).password ?? '');
  await onDatabase(withDatabaseUser(url, FORMER_NAME, password), SET_UP, (db) =>
    db.transaction().execute(async (transaction) => {
      const run = (statement: string) => sql.raw(statement).execute(transaction);
      await run(`alter role ${OWNER} rename to ${SUPERUSER}`);
      await run(`alter role ${SUPERUSER} password '${verifier}'`);
    }),
  );
  return true;
}
