import { lstatSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { Value } from 'typebox/value';
import { KeyFileError, readKeyFile } from '../../gateway/auth/key-file.ts';
import { ApiKeysFile, type ApiKey } from '../../schema/http/api-keys.ts';
import { writeFileAtomically } from '../files/write-file-atomically.ts';
import { acquireLock } from '../local/lock.ts';
import { makeOwnFolder } from '../local/own-folder.ts';
import { StartError } from '../servers/start-error.ts';
import { Refusal } from './errors.ts';

/** As many as Linux follows. */
const LINKS_MAX = 40;

/** Another command has the file for milliseconds. */
const LOCK_MS_MAX = 10_000;

/**
 * Reads the file of API keys; one that is not there has none.
 *
 * @param warn called with what others can do with the file.
 * @throws Refusal where it can't be read.
 */
export function readKeys(path: string, warn: (warning: string) => void = () => {}): ApiKey[] {
  try {
    const { keys, warnings } = readKeyFile(path);
    for (const warning of warnings) warn(warning);
    return keys;
  } catch (error) {
    if (!(error instanceof KeyFileError)) throw error;
    if ((error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') return [];
    throw new Refusal(error.message);
  }
}

/**
 * Replaces the keys in the file, which is made where it is missing. Commands that run at once do it one after
 * the other, so that none undoes another's change. The file keeps its owner and mode, and symbolic links to
 * it stay.
 *
 * @param change makes the new keys of the present ones.
 * @throws Refusal where the file can't be changed.
 */
export async function changeKeys(
  path: string,
  change: (keys: ApiKey[]) => ApiKey[],
  warn: (warning: string) => void,
): Promise<void> {
  try {
    const end = followLinks(path);
    const target = join(makeOwnFolder(dirname(end)), basename(end));
    const release = await acquireLock(`${target}.lock`, {
      isBrief: true,
      signal: AbortSignal.timeout(LOCK_MS_MAX),
    });
    try {
      writeKeys(target, change(readKeys(target, warn)));
    } finally {
      release();
    }
  } catch (error) {
    if (error instanceof Refusal) throw error;
    if (error instanceof StartError) throw new Refusal(error.message);
    const { code, name, message } = error as NodeJS.ErrnoException;
    if (name === 'AbortError') {
      throw new Refusal(
        `${path} can't be changed: another command has kept its lock for ${LOCK_MS_MAX / 1000} s`,
      );
    }
    // What the system refuses has a code, such as EROFS; anything else is a bug.
    throw code === undefined ? error : new Refusal(`${path} can't be changed: ${message}`);
  }
}

function writeKeys(path: string, keys: ApiKey[]): void {
  const content: ApiKeysFile = { keys };
  if (!Value.Check(ApiKeysFile, content)) {
    throw new Refusal(
      `${path} can't have ${keys.length} keys: 10000 is the most. Revoke some with keys revoke`,
    );
  }
  const before = statSync(path, { throwIfNoEntry: false });
  const mode = before === undefined ? 0o600 : before.mode & 0o777;
  writeFileAtomically(path, `${JSON.stringify(content, null, 2)}\n`, mode, before);
}

/** Where the links end; there need not be a file. */
function followLinks(path: string): string {
  let end = resolve(path);
  for (let links = 0; lstatSync(end, { throwIfNoEntry: false })?.isSymbolicLink(); links += 1) {
    if (links === LINKS_MAX)
      throw new Refusal(`${path} can't be changed: its links go in a circle`);
    // Relative to the folder as it is, which may be reached by a link too.
    end = resolve(realpathSync(dirname(end)), readlinkSync(end));
  }
  return end;
}
