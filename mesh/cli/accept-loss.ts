import type { JetStreamManager } from '@nats-io/jetstream';
import { sql, type Kysely } from 'kysely';
import {
  countMissing,
  lookAtStores,
  type Proof,
  type StoresDisagree,
} from '../../counter/settle/compare-stores.ts';
import { streamReaders, type StreamState } from '../../counter/settle/stream-state.ts';
import { COUNTED_BY, COUNTER, INCARNATION, incarnationOf, INCREMENTS } from '../../nats/streams.ts';
import { readDatabaseId } from '../../schema/database/database-id.ts';
import type { Database } from '../../schema/database/tables.ts';
import { EXIT, type Command } from './command.ts';
import { confirm } from './confirm.ts';
import { plural } from '../../telemetry/quantities.ts';

/** `accept-loss`: counting goes on without what a purge or a restore has taken. */
export const acceptLoss: Command = {
  name: 'accept-loss',
  synopsis: '[--new-database] [--yes]',
  summary: 'Lets counting go on without messages that are gone',
  help: `
Counter services stop counting where stream and database disagree: messages left the stream before
they were counted (a purge by hand, a limit of the stream), or one of the two was restored from an
older copy. Whoever has the newer copy should restore it instead. This names what is gone, asks, and
records in the database that it is given up; counter services then go on by themselves, within
seconds. Increments that are gone are never counted.

Where the stream is older than the database, the stream is made again with its settings: messages in
it that are not counted are gone, too.

  --new-database  also where this database never knew the stream, since the one that counted it is
                  lost for good. Never where another mesh counts the same stream
  --yes           does not ask; for scripts`,
  options: { yes: { type: 'boolean' }, 'new-database': { type: 'boolean' } },
  run: async (context) => {
    const { servers, print, options } = context;
    const manager = await servers.manager('provisioner');
    const database = await servers.database();
    const { found, stream, proof } = await lookAtStores(database, streamReaders(manager));
    if (found === undefined) {
      print({ accepted: false, reason: null }, () => 'Stream and database agree: nothing is gone.');
      return EXIT.fine;
    }
    if (found.kind === 'other-database' && options['new-database'] !== true) {
      print({ accepted: false, reason: found.message }, () => `Not accepted: ${found.message}.`);
      return EXIT.bad;
    }
    const loss = describeLoss(found, stream, proof);
    if (!(await confirm(`${loss} It can't be undone.`, context))) {
      print({ accepted: false, reason: found.message }, () => 'Nothing was changed.');
      return EXIT.bad;
    }
    if (found.kind === 'stream-went-back') await makeStreamAgain(manager, database);
    else await giveUp(database, stream);
    print({ accepted: true, reason: found.message }, () => `${loss} Accepted: counting goes on.`);
    return EXIT.fine;
  },
};

function describeLoss(
  { kind }: StoresDisagree,
  stream: StreamState,
  proof: Proof | undefined,
): string {
  const removed = stream.firstSequence - 1;
  if (kind === 'other-database' || proof === undefined) {
    return `${plural(removed, 'message')}, up to sequence ${removed}, left the stream and are not in this database.`;
  }
  if (kind === 'stream-went-back') {
    const place =
      proof.last > stream.lastSequence
        ? `The stream ends at ${stream.lastSequence}, and message ${proof.last} is counted`
        : `Message ${proof.last} is counted, and the stream has another one in its place`;
    return `${place}: the stream is made again, and ${plural(stream.messages, 'message')} in it, counted or not, ${stream.messages === 1 ? 'is' : 'are'} gone.`;
  }
  return (
    `${countMissing(stream, proof)} of the messages ${proof.prunedThrough + 1} to ${removed} left the ` +
    'stream uncounted, and their increments are gone.'
  );
}

/** Whatever is missing up to the stream's first message counts as settled from now on. */
async function giveUp(database: Kysely<Database>, stream: StreamState): Promise<void> {
  const through = String(stream.firstSequence - 1);
  await database
    .insertInto('streams')
    .values({ incarnation: String(stream.incarnation), pruned_through: through })
    .onConflict((conflict) =>
      conflict.column('incarnation').doUpdateSet({
        pruned_through: sql<string>`greatest(streams.pruned_through, excluded.pruned_through)`,
      }),
    )
    .execute();
}

/** With the settings that it and its consumer had; a new stream gets new rows in the ledger. */
async function makeStreamAgain(
  manager: JetStreamManager,
  database: Kysely<Database>,
): Promise<void> {
  const databaseId = await readDatabaseId(database);
  const { config } = await manager.streams.info(INCREMENTS);
  const { config: consumer } = await manager.consumers.info(INCREMENTS, COUNTER);
  await manager.streams.delete(INCREMENTS);
  const { [INCARNATION]: _, ...former } = config.metadata ?? {};
  const metadata = { ...former, [COUNTED_BY]: databaseId };
  const again = await manager.streams.add({ ...config, metadata });
  const incarnation = String(incarnationOf(again));
  // At once, so that no read says of the new sequences what was true of the former ones.
  await database.insertInto('streams').values({ incarnation, pruned_through: '0' }).execute();
  const made = { [INCARNATION]: incarnation };
  await manager.streams.update(INCREMENTS, { ...again.config, metadata: { ...metadata, ...made } });
  await manager.consumers.add(INCREMENTS, consumer);
}
