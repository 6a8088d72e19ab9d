import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findPathProblem } from '../files/find-path-problem.ts';
import { writeFileAtomically } from '../files/write-file-atomically.ts';
import { StartError } from './start-error.ts';

/*
 * A program that was fetched once is run for years. What it was is kept beside it, as `sha256sum --check`
 * reads it, so that a damaged one is fetched again; and nobody else may change either.
 */

/**
 * Whether a program is still what was fetched. One of an earlier version, which noted nothing, is noted.
 *
 * @throws StartError where others can change it.
 */
export function isAsFetched(program: string): boolean {
  if (!existsSync(program)) return false;
  for (const path of [dirname(program), program]) refuseIfOthersMayChange(path);
  const note = noteOf(program);
  if (existsSync(note)) return readFileSync(note, 'utf8') === describe(program);
  try {
    noteFetched(program);
  } catch (error) {
    // A cache that is only there to read is kept by somebody else.
    if (!['EACCES', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
  return true;
}

/** Notes what a program is, once it was fetched. */
export function noteFetched(program: string): void {
  writeFileAtomically(noteOf(program), describe(program), 0o644);
}

/** Who can change the code can run anything: its owner, and its group, for whom a umask of 002 opens all. */
function refuseIfOthersMayChange(path: string): void {
  const { uid: codeOwner } = statSync(fileURLToPath(import.meta.url));
  const owners = [process.geteuid?.() ?? 0, 0, codeOwner];
  const problem = findPathProblem(statSync(path), owners, 0o002);
  if (problem === undefined) return;
  throw new StartError(
    `${path} ${problem}, so that others can choose what is run: remove it, and it is fetched again.`,
  );
}

function noteOf(program: string): string {
  return `${program}.sha256`;
}

function describe(program: string): string {
  const sha256 = createHash('sha256').update(readFileSync(program)).digest('hex');
  return `${sha256}  ${basename(program)}\n`;
}
