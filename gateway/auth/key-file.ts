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
import { dirname } from 'node:path';
import { Value } from 'typebox/value';
import { quoteForShell } from '../../schema/quote-for-shell.ts';
import { ApiKeysFile, type ApiKey } from '../../schema/http/api-keys.ts';

/** 10 000 keys are less than 4 MB. */
const BYTES_MAX = 16 * 1024 * 1024;
const FAULTS_SHOWN_MAX = 10;

/** What is wrong with a file of API keys: sentences that name it. */
export class KeyFileError extends Error {
  override readonly name = 'KeyFileError';
  readonly faults: string[];

  constructor(faults: string[], options?: ErrorOptions) {
    super(faults.join('; '), options);
    this.faults = faults;
  }
}

export interface KeyFile {
  keys: ApiKey[];
  /** Sentences about who else has a say in the file, each with a command to paste. */
  warnings: string[];
}

interface Folder {
  path: string;
  mode: number;
}

/**
 * Reads a file of API keys, through symbolic links: a mounted secret of Kubernetes is a chain of them.
 *
 * @throws KeyFileError where it can't be read, has something else in it, or can be changed by others, who
 *   could give themselves a key. Its `cause` has the code of the system, such as ENOENT.
 */
export function readKeyFile(path: string): KeyFile {
  const { content, stats, folders } = readWhole(path);
  const us = process.geteuid?.() ?? 0;
  const { refusal, warnings } = judgeKeyFile(path, stats, { folders, us });
  if (refusal !== undefined) throw new KeyFileError([refusal]);
  return { keys: parseKeys(path, content), warnings };
}

/**
 * Says whether the file of API keys is safe from others.
 *
 * @param folders of the file and of a link to it: who can change one can put another file in its place.
 */
export function judgeKeyFile(
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
      `${path} belongs to user ${file.uid}, who can give any key: chown ${us} ${quoteForShell(path)}, unless that is meant`,
    );
  }
  if ((file.mode & 0o004) !== 0) {
    warnings.push(`${path} can be read by all users: chmod o-r ${quoteForShell(path)}`);
  }
  return { warnings };
}

function readWhole(path: string): { content: string; stats: Stats; folders: Folder[] } {
  let file: number | undefined;
  try {
    // O_NONBLOCK: a named pipe would be waited for.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = fstatSync(file);
    if (!stats.isFile()) throw new Error('it is no file');
    if (stats.size > BYTES_MAX) throw new Error(`it has more than ${BYTES_MAX} bytes`);
    const folders = [path, realpathSync(path)]
      .map(dirname)
      .map((folder) => ({ path: folder, mode: statSync(folder).mode }));
    return { content: readFileSync(file, 'utf8'), stats, folders };
  } catch (error) {
    throw unreadable(path, error as Error);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function parseKeys(path: string, text: string): ApiKey[] {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw unreadable(path, error as Error);
  }
  if (Value.Check(ApiKeysFile, content)) return content.keys;
  const faults = Value.Errors(ApiKeysFile, content).map(
    ({ instancePath, message }) => `${path}: ${instancePath} ${message}`,
  );
  throw new KeyFileError(faults.slice(0, FAULTS_SHOWN_MAX));
}

function unreadable(path: string, cause: Error): KeyFileError {
  return new KeyFileError([`${path} can't be read: ${cause.message}`], { cause });
}
