import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Every path on the PATH where a program of this name could be. */
export function onPath(program: string, path: string): string[] {
  return path.split(delimiter).flatMap((folder) => (folder ? [join(folder, program)] : []));
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
