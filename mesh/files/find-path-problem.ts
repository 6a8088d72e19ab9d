import { constants } from 'node:fs';

const { S_IFMT, S_IFDIR, S_IFLNK, S_IFREG } = constants;

/**
 * Why a path may be somebody else's to choose, to follow it in a sentence; undefined where it is not.
 *
 * @param stats of lstat, which does not follow a link.
 * @param owners the users that it may belong to.
 * @param writers who may not change it, as bits of a mode: by default group and others.
 */
export function findPathProblem(
  { mode, uid }: { mode: number; uid: number },
  owners: number[],
  writers = 0o022,
): string | undefined {
  const kind = mode & S_IFMT;
  if (kind === S_IFLNK) return 'is a symbolic link';
  if (kind !== S_IFREG && kind !== S_IFDIR) return 'is neither a file nor a folder';
  if (!owners.includes(uid)) return `belongs to another user (${uid})`;
  if ((mode & writers) !== 0) return `can be changed by other users (mode ${describeMode(mode)})`;
  return undefined;
}

/** As chmod takes it: `700`. */
export function describeMode(mode: number): string {
  return (mode & 0o7777).toString(8);
}
