import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchDebianProgram } from '../../mesh/servers/debian-package.ts';

const CACHE = fileURLToPath(new URL('../../.cache', import.meta.url));

/**
 * A program of Debian's suite sid, fetched once into the project's cache.
 *
 * @param path where the package has it.
 */
export async function findDebianProgram(packageName: string, path: string): Promise<string> {
  const destination = join(CACHE, `${path.split('/').at(-1) ?? packageName}-${process.arch}`);
  if (!existsSync(destination)) await fetchDebianProgram({ packageName, path }, destination);
  return destination;
}
