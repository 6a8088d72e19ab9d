import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  statSync,
  type Stats,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { findPathProblem } from '../files/find-path-problem.ts';
import { StartError } from '../servers/start-error.ts';

/*
 * What others may have put into a data folder before we use it: passwords of theirs, or a link in the
 * place of a log, through which we would write as ourselves. So before anything in it is read or written,
 * the folder and what we use in it must be ours.
 */

/** Whole, since we write into them. What else lies in a data folder is left alone. */
const FOLDERS = ['logs', 'clients', 'processes'];
/** With a folder for each user that root starts processes as. */
const HOMES = 'homes';
const FILES = ['lock', 'mesh.json', 'ports.json', 'secrets.json', 'topology'];
/** Their servers look at what is inside. */
const STORES = ['nats', 'nats-1', 'nats-2', 'nats-3', 'postgres', 'postgres.new', 'proxy'];

/**
 * Makes a folder of ours, such as DATA_DIR, where there is none.
 *
 * Under root, PostgreSQL runs as another user, who must be able to enter it, whatever the umask.
 *
 * @returns its path without symbolic links; the folder itself may be one of ours.
 * @throws StartError where it can't be made, or where it is somebody else's link.
 */
export function makeOwnFolder(path: string): string {
  const isRoot = ourUser() === 0;
  try {
    const link = lstat(path);
    if (link?.isSymbolicLink() === true && ![0, ourUser()].includes(link.uid)) {
      throw refusal(path, `is a symbolic link that belongs to another user (${link.uid})`);
    }
    if (link === undefined) {
      const first = mkdirSync(path, { recursive: true, mode: isRoot ? 0o711 : 0o777 }) ?? path;
      if (isRoot) {
        for (let made = path; made.length >= first.length; made = dirname(made)) {
          chmodSync(made, 0o711);
        }
      } else {
        chmodSync(path, 0o700);
      }
    }
    const real = realpathSync(path);
    if (!statSync(real).isDirectory()) throw new StartError(`${path} is not a folder`);
    return real;
  } catch (error) {
    if (error instanceof StartError) throw error;
    throw new StartError(`the folder ${path} can't be used: ${(error as Error).message}`);
  }
}

/**
 * Checks that nobody else has a say in a data folder: it and what we use in it is ours, has no symbolic
 * links and can't be changed by others.
 *
 * @param storeOwners users that servers run as, to whom their stores belong.
 * @throws StartError naming the first path that others have a say in.
 */
export function checkOwnFolder(path: string, storeOwners: number[] = []): void {
  const owners = [ourUser()];
  check(path, owners);
  for (const name of FILES) check(join(path, name), owners);
  for (const name of FOLDERS) checkAll(join(path, name), owners);
  check(join(path, HOMES), owners);
  const homes = list(join(path, HOMES)).map((name) => join(HOMES, name));
  for (const name of [...STORES, ...homes]) check(join(path, name), [...owners, ...storeOwners]);
}

function checkAll(path: string, owners: number[]): void {
  check(path, owners);
  for (const name of list(path)) checkAll(join(path, name), owners);
}

function check(path: string, owners: number[]): void {
  const stats = lstat(path);
  const problem = stats && findPathProblem(stats, owners);
  if (problem !== undefined) throw refusal(path, problem);
}

function refusal(path: string, problem: string): StartError {
  return new StartError(
    `${path} ${problem}, so others can choose what the mesh reads and writes there. Nothing was touched. ` +
      'Choose another DATA_DIR; or look at what is in it, then make it yours (chown, chmod go-w, no links).',
  );
}

/** Nothing of a file, or of a folder that another mesh has just removed. */
function list(path: string): string[] {
  try {
    return lstat(path)?.isDirectory() === true ? readdirSync(path) : [];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Undefined where there is nothing, or no longer. */
function lstat(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

/** Windows has no such users; there the mesh does not run. */
function ourUser(): number {
  return process.geteuid?.() ?? 0;
}
