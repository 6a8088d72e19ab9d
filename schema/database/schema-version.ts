import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { sql, type Kysely } from 'kysely';
import { readVersion } from '../version.ts';

/** One file each, in the order of their names. */
export const MIGRATIONS = fileURLToPath(new URL('./migrations', import.meta.url));

/** Thrown for tables that a later version has changed: this one can't tell what it would undo. */
export class LaterSchema extends Error {
  override readonly name = 'LaterSchema';
}

/** Thrown for tables that lack something that this version needs. */
export class EarlierSchema extends Error {
  override readonly name = 'EarlierSchema';
}

/**
 * Compares the migrations that were run with those of this version.
 *
 * @returns what to say of tables that a later version has changed, which services may use: a migration only
 * adds what earlier versions can do without. Undefined for this version's own.
 * @throws EarlierSchema if a migration is missing.
 */
export async function checkSchema(db: Kysely<any>): Promise<string | undefined> {
  const { missing, unknown } = compareMigrations(await readMigrationsRun(db));
  if (missing.length > 0) {
    throw new EarlierSchema(
      `the tables are those of an earlier version, without ${missing.join(', ')}: run the migration ` +
        '(`npm start` or `npm run provision`)',
    );
  }
  return unknown.length > 0 ? describeLater(unknown) : undefined;
}

/** @throws LaterSchema before a migration changes anything. */
export async function refuseLaterSchema(db: Kysely<any>): Promise<void> {
  const { rows } = await sql<{ exists: boolean }>`
    select to_regclass('kysely_migration') is not null as exists`.execute(db);
  if (rows[0]?.exists !== true) return;
  const { unknown } = compareMigrations(await readMigrationsRun(db));
  if (unknown.length === 0) return;
  throw new LaterSchema(
    `${describeLater(unknown)}. Run that version or a later one; the way back is the back-up from before ` +
      'it (docs/backup-and-upgrade.md#rolling-back)',
  );
}

export interface MigrationsCompared {
  /** Of this version, and not run. */
  missing: string[];
  /** Run, and not of this version. */
  unknown: string[];
}

export function compareMigrations(run: string[], ours = readOurMigrations()): MigrationsCompared {
  return {
    missing: ours.filter((name) => !run.includes(name)),
    unknown: run.filter((name) => !ours.includes(name)),
  };
}

/** Their names, in order. */
export function readOurMigrations(): string[] {
  return readdirSync(MIGRATIONS)
    .filter((name) => name.endsWith('.ts'))
    .map((name) => name.slice(0, -'.ts'.length))
    .toSorted();
}

async function readMigrationsRun(db: Kysely<any>): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select name from kysely_migration order by name`.execute(db);
  return rows.map(({ name }) => name);
}

function describeLater(unknown: string[]): string {
  return (
    `the tables are those of a later version (${unknown.join(', ')}), which this one, ${readVersion()}, ` +
    'does not know'
  );
}
