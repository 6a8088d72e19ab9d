import { statSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';
import { quoteForShell } from '../../schema/quote-for-shell.ts';
import { runProgram } from './run-program.ts';
import { StartError } from './start-error.ts';

export interface Account {
  uid: number;
  gid: number;
}

const USER = 'postgres';

/** The user to run PostgreSQL as, which refuses root; undefined where we are not root. */
export async function findPostgresAccount(): Promise<Account | undefined> {
  const account = await readPostgresAccount();
  if (account !== undefined || process.getuid?.() !== 0) return account;
  await createUser();
  return readAccount();
}

/** The same, undefined too where there is no such user yet. */
export async function readPostgresAccount(): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  return readAccount().catch(() => undefined);
}

/**
 * Checks that the user can reach a path: initdb would only fail with "could not access directory".
 *
 * @throws StartError naming every folder on the way that is closed to it, and what to do.
 */
export async function checkReachable(account: Account, path: string, what: string): Promise<void> {
  const first = await findUnreachable(account, [path]);
  if (first === undefined) return;
  // Below a closed folder the user sees nothing, so that the others are found by their modes.
  const others = foldersTo(path).filter(
    (folder) => folder.length > first.length && !mayEnter(statSync(folder), account),
  );
  const closed = [first, ...others].map(quoteForShell).join(' ');
  throw new StartError(
    `PostgreSQL can't run as root, and the user "${USER}" that runs it can't enter ${closed},\n` +
      `where ${what}: ${path}\n` +
      `Do one of these: chmod o+x ${closed}; run npm start as a user other than root; move the\n` +
      `project or DATA_DIR out of ${first}; use a running database with DATABASE_URL=postgres://…`,
  );
}

/** The first folder or file on the way to the paths that the user can't enter or execute. */
async function findUnreachable(account: Account, paths: string[]): Promise<string | undefined> {
  const script = 'for path; do test -x "$path" || { printf %s "$path"; exit; }; done';
  const all = paths.flatMap(foldersTo);
  const closed = await runProgram('sh', ['-c', script, 'sh', ...all], {
    ...account,
    cwd: '/',
    timeoutMs: 5000,
  });
  return closed === '' ? undefined : closed;
}

/** From the root to the path itself. */
function foldersTo(path: string): string[] {
  const folders = [path];
  while (dirname(folders[0]!) !== folders[0]) folders.unshift(dirname(folders[0]!));
  return folders;
}

/** By the mode alone. */
function mayEnter({ mode, uid, gid }: Stats, account: Account): boolean {
  if (uid === account.uid) return (mode & 0o100) !== 0;
  return (mode & (gid === account.gid ? 0o010 : 0o001)) !== 0;
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
