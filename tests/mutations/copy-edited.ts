import {
  chmodSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
/** Large, and the same for every copy. */
const SHARED = ['node_modules', '.cache'];
const LEFT_OUT = /^(\.git|\.tap|\.mesh.*|coverage|.*\.log)$/;

/** A text that a file has exactly once, and what is put in its place. */
export interface Edit {
  file: string;
  find: string;
  replacement: string;
}

/**
 * Copies the project and edits the copy.
 *
 * @throws Error where the text that is to be replaced is not there once: then the code has moved on, and the
 * edit must follow it.
 */
export function copyEdited(edits: Edit[]): { root: string; remove: () => void } {
  const root = mkdtempSync(join(tmpdir(), 'increment-mesh-copy-'));
  const remove = () => rmSync(root, { recursive: true, force: true });
  try {
    // Readable for PostgreSQL's user, as a checkout is.
    chmodSync(root, 0o755);
    for (const name of readdirSync(PROJECT)) {
      if (SHARED.includes(name)) symlinkSync(join(PROJECT, name), join(root, name));
      else if (!LEFT_OUT.test(name)) {
        cpSync(join(PROJECT, name), join(root, name), { recursive: true });
      }
    }
    for (const edit of edits) writeFileSync(join(root, edit.file), readEdited(edit, root));
  } catch (error) {
    remove();
    throw error;
  }
  return { root, remove };
}

/** The content of a file after an edit. @throws Error as above. */
export function readEdited({ file, find, replacement }: Edit, root = PROJECT): string {
  const parts = readFileSync(join(root, file), 'utf8').split(find);
  if (parts.length === 2) return parts.join(replacement);
  throw new Error(`${file} has this text ${parts.length - 1} times and not once: ${find}`);
}
