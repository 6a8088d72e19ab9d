import { dirname } from 'node:path';
import { runProgram } from './run-program.ts';
import { StartError } from './start-error.ts';

export interface Account {
  uid: number;
  gid: number;
}

const USER = 'postgres';

/** The user to run PostgreSQL as, which refuses root; undefined where we are not root. */
export async function findPostgresAccount(): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  try {
    return await readAccount();
  } catch {
    await createUser();
    return readAccount();
  }
}

/**
 * Checks that the user can reach a path: initdb would only fail with "could not access directory".
 *
 * @throws StartError naming the folder that is closed to it and what to do.
 */
export async function checkReachable(account: Account, path: string, what: string): Promise<void> {
  const folders = [path];
  while (dirname(folders[0]!) !== folders[0]) folders.unshift(dirname(folders[0]!));
  const script = 'for folder; do test -x "$folder" || { printf %s "$folder"; exit; }; done';
  const closed = await runProgram('sh', ['-c', script, 'sh', ...folders], {
    ...account,
    cwd: '/',
    timeoutMs: 5000,
  });
  if (closed === '') return;
  throw new StartError(
    `PostgreSQL can't run as root, and the user "${USER}" that runs it can't enter ${closed},\n` +
      `where ${what}: ${path}\n` +
      `Do one of these: chmod o+x ${closed}; run npm start as a user other than root; move the\n` +
      `project or DATA_DIR out of ${closed}; use a running database with DATABASE_URL=postgres://…`,
  );
}

async function readAccount(): Promise<Account> {
  const read = async (what: string) =>
    Number(await runProgram('id', [what, USER], { timeoutMs: 5000 }));
  return { uid: await read('-u'), gid: await read('-g') };
}

async function createUser(): Promise<void> {
  const args = [
    '--system',
    '--user-group',
    '--no-create-home',
    '--shell',
    '/usr/sbin/nologin',
    USER,
  ];
  try {
    await runProgram('useradd', args, { timeoutMs: 10_000 });
  } catch (error) {
    throw new StartError(
      `PostgreSQL can't run as root, and creating the user "${USER}" for it failed\n` +
        `(${(error as Error).message}). Run npm start as a user other than root, or use a running\n` +
        `database with DATABASE_URL=postgres://…`,
      { cause: error },
    );
  }
}
