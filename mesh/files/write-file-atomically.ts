import { randomUUID } from 'node:crypto';
import {
  closeSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';

/**
 * Readers see the old content or the new, never a part, even where this process is killed. A link in the
 * place of the file is replaced, not followed.
 *
 * @param mode whatever the umask.
 * @param owner who gets it; else it is ours.
 */
export function writeFileAtomically(
  path: string,
  content: string,
  mode = 0o600,
  owner?: { uid: number; gid: number },
): void {
  const draft = `${path}.${randomUUID()}`;
  try {
    const file = openSync(draft, 'wx', 0o600);
    try {
      writeFileSync(file, content);
      if (owner !== undefined) fchownSync(file, owner.uid, owner.gid);
      fchmodSync(file, mode);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}
