import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Every file of a program's name on the PATH, runnable or not. */
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
