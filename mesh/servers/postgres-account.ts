import { dirname } from 'node:path';
import { StartError } from './start-error.ts';
import { runProgram } from './run-program.ts';

/** The user who runs PostgreSQL, which refuses root; undefined where that is simply ourselves. */
export interface Account {
  uid: number;
  gid: number;
}

const USER = 'postgres';

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
 * Checks that the account gets to a path: initdb would only fail with "could not access directory".
 *
 * @throws StartError naming the folder in the way and what to do.
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
    `PostgreSQL does not run as root, and the user "${USER}" that it runs as can't enter ${closed},\n` +
      `where ${what}: ${path}\n` +
      `Any one of these helps: chmod o+x ${closed}; run npm start as another user than root; move\n` +
      `the project or DATA_DIR out of ${closed}; use a running database by DATABASE_URL=postgres://…`,
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
      `PostgreSQL does not run as root and the user "${USER}" could not be made for it\n` +
        `(${(error as Error).message}). Run npm start as another user than root, or use a running\n` +
        `database by DATABASE_URL=postgres://…`,
      { cause: error },
    );
  }
}
