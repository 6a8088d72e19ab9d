import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchDebianProgram } from '../../mesh/servers/debian-package.ts';
import { isAsFetched, noteFetched } from '../../mesh/servers/fetched-program.ts';

const CACHE = fileURLToPath(new URL('../../.cache', import.meta.url));

/**
 * A program of Debian, fetched once into the project's cache.
 *
 * @param path where the package has it.
 * @param suite that of this machine for a program that needs its libraries.
 */
export async function findDebianProgram(
  packageName: string,
  path: string,
  suite = 'sid',
): Promise<string> {
  const destination = join(CACHE, `${path.split('/').at(-1) ?? packageName}-${process.arch}`);
  if (isAsFetched(destination)) return destination;
  await fetchDebianProgram({ packageName, path, suite }, destination);
  noteFetched(destination);
  return destination;
}
