import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';

/** Where versions that had one account for all roles kept their streams: nats-server's account by default. */
const FORMER_ACCOUNT = '$G';
/** In nats/roles.conf. */
const ACCOUNT = 'STREAMS';

/**
 * Moves the streams of a nats-server that does not run to the account that has them now. Only a single
 * server finds them there: a cluster also keeps in its log which account they belong to.
 *
 * @param store the server's `store_dir`.
 * @returns whether anything was moved, and what prevents it, if anything does.
 */
export function moveStreams(
  store: string,
  isCluster: boolean,
): { isMoved: boolean; obstacle?: string } {
  const [former, current] = [FORMER_ACCOUNT, ACCOUNT].map((account) =>
    join(store, 'jetstream', account),
  ) as [string, string];
  if (!existsSync(join(former, 'streams'))) return { isMoved: false };
  if (isCluster) {
    const obstacle =
      `the cluster in ${store} was made by an earlier version, which kept its streams in another account. ` +
      'Empty them with that version first: docs/backup-and-upgrade.md, "Accounts", has the commands.';
    return { isMoved: false, obstacle };
  }
  if (existsSync(current)) {
    const obstacle =
      `${store} has streams of an earlier version (${former}) and of this one (${current}). Start the ` +
      `earlier version until npm run mesh -- status shows nothing that waits, stop it, and remove ${former}.`;
    return { isMoved: false, obstacle };
  }
  renameSync(former, current);
  return { isMoved: true };
}
