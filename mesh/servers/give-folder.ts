import { lchownSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Account } from './postgres-account.ts';

/**
 * Gives a folder with all that is in it to a user. No link is followed, and a file that has another name
 * elsewhere stays whose it is: it could be one that the user must not have.
 */
export function giveFolder(path: string, account: Account): void {
  const stats = lstatSync(path);
  if (stats.isDirectory()) {
    for (const name of readdirSync(path)) giveFolder(join(path, name), account);
  } else if (stats.nlink > 1) {
    return;
  }
  if (stats.uid === account.uid && stats.gid === account.gid) return;
  lchownSync(path, account.uid, account.gid);
}
