import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  realpathSync,
  statSync,
  type Stats,
} from 'node:fs';
import { dirname, relative } from 'node:path';
import { quoteForShell } from '../quote-for-shell.ts';

/** Secrets and certificates are a few kilobytes. */
const BYTES_MAX = 1024 * 1024;

export interface PrivateFile {
  path: string;
  /** Undefined where there is a problem. */
  content?: string;
  /** Why it is not taken: a sentence that names it. */
  problem?: string;
  /** The code of the system, such as ENOENT, and more. */
  cause?: Error;
  /** Sentences about who else has a say in the file, each with a command to paste. */
  warnings: string[];
}

interface Folder {
  path: string;
  mode: number;
}

/**
 * Reads a file with secrets, through symbolic links: a mounted secret of Kubernetes is a chain of them. One that
 * others can change is refused, since they could put in what they know.
 */
export function readPrivateFile(path: string, bytesMax = BYTES_MAX): PrivateFile {
  try {
    const { content, stats, folders } = readWhole(path, bytesMax);
    const us = process.geteuid?.() ?? 0;
    const { refusal, warnings } = judgePrivateFile(path, stats, { folders, us });
    return refusal === undefined
      ? { path, content, warnings }
      : { path, problem: refusal, warnings };
  } catch (error) {
    const cause = error as Error;
    if (isLikeSecret(relative(process.cwd(), path))) {
      return { path: 'the file', problem: SECRET_AS_PATH, warnings: [] };
    }
    return { path, problem: `${path} can't be read: ${cause.message}`, cause, warnings: [] };
  }
}

/** In place of the error of the system, which would show it. */
export const SECRET_AS_PATH =
  'the value looks like the secret itself: give the path of a file that has it';

const NKEY_SEED = /S[A-Z0-9]{57}/;
const JWT = /eyJ[\w-]+\.[\w-]+\./;
/** Longer than most names of files, and without an extension or a folder. */
const TOKEN = /^[^/.]{20,}$/;

/** Whether what should be the path of a file may be what belongs into it: a seed, a JWT, a PEM, a token. */
export function isLikeSecret(path: string): boolean {
  return path.includes('\n') || [NKEY_SEED, JWT, TOKEN].some((pattern) => pattern.test(path));
}

/**
 * Says whether a file with secrets is safe from others.
 *
 * @param folders of the file and of a link to it: who can change one can put another file in its place.
 */
export function judgePrivateFile(
  path: string,
  file: { mode: number; uid: number },
  { folders, us }: { folders: Folder[]; us: number },
): { refusal?: string; warnings: string[] } {
  if ((file.mode & 0o022) !== 0) {
    return {
      refusal: `${path} can be changed by other users: chmod go-w ${quoteForShell(path)}`,
      warnings: [],
    };
  }
  // In a sticky folder, such as /tmp, others can't replace what is ours.
  const open = folders.find(({ mode }) => (mode & 0o1002) === 0o0002)?.path;
  if (open !== undefined) {
    return {
      refusal: `${path} can be replaced by other users: chmod o-w ${quoteForShell(open)}`,
      warnings: [],
    };
  }
  const warnings: string[] = [];
  if (file.uid !== us && file.uid !== 0) {
    warnings.push(
      `${path} belongs to user ${file.uid}, who can change it: chown ${us} ${quoteForShell(path)}, unless that is meant`,
    );
  }
  if ((file.mode & 0o004) !== 0) {
    warnings.push(`${path} can be read by all users: chmod o-r ${quoteForShell(path)}`);
  }
  return { warnings };
}

function readWhole(
  path: string,
  bytesMax: number,
): { content: string; stats: Stats; folders: Folder[] } {
  // O_NONBLOCK: a named pipe would be waited for.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(file);
    if (!stats.isFile()) throw new Error('it is no file');
    if (stats.size > bytesMax) throw new Error(`it has more than ${bytesMax} bytes`);
    const folders = [path, realpathSync(path)]
      .map(dirname)
      .map((folder) => ({ path: folder, mode: statSync(folder).mode }));
    return { content: readFileSync(file, 'utf8'), stats, folders };
  } finally {
    closeSync(file);
  }
}
