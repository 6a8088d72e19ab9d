import { mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isAsFetched, noteFetched } from '../../mesh/servers/fetched-program.ts';
import { fetchGoProgram } from '../../mesh/servers/go-program.ts';
import { isExecutable, onPath } from '../../mesh/servers/search-path.ts';

const CACHE = fileURLToPath(new URL('../../.cache', import.meta.url));

/**
 * A program of a Go module, compiled once into the project's cache.
 *
 * @returns its path; or, where it is not in the cache and Go is not on the PATH, why a test is skipped.
 */
export function findGoProgram(name: string, source: string): Promise<string | Missing> {
  const version = source.split('@v').at(-1);
  return findOrBuild(`${name}-${version}`, async (folder) => {
    const program = join(folder, name);
    await fetchGoProgram(source, program);
    return program;
  });
}

export interface Missing {
  reason: string;
}

/**
 * The same for a program that takes more than `go install`.
 *
 * @param name with its version, by which it is in the cache.
 * @param build is given an empty folder, and says where in it the program is.
 */
export async function findOrBuild(
  name: string,
  build: (folder: string) => Promise<string>,
): Promise<string | Missing> {
  const destination = join(CACHE, `${name}-${process.platform}-${process.arch}`);
  if (isAsFetched(destination)) return destination;
  if (!onPath('go', process.env['PATH'] ?? '').some(isExecutable)) {
    return { reason: `${name} can't be compiled: no go is on the PATH` };
  }
  mkdirSync(CACHE, { recursive: true, mode: 0o755 });
  const folder = mkdtempSync(`${destination}.`);
  try {
    renameSync(await build(folder), destination);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  noteFetched(destination);
  return destination;
}
