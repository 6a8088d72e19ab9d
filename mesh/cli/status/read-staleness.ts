import type { JetStreamManager } from '@nats-io/jetstream';
import type { Kysely } from 'kysely';
import { findSettledFloor } from '../../../counter/settle/settled-floor.ts';
import { readStreamState } from '../../../counter/settle/stream-state.ts';
import { INCREMENTS } from '../../../nats/streams.ts';
import type { Database } from '../../../schema/database/tables.ts';
import { readBrokerTime } from '../broker-time.ts';

/** A message that is settled between two requests makes another try necessary. */
const TRIES_MAX = 3;

/**
 * The age in milliseconds of the oldest message that is not settled in the database; 0 where there is
 * none. Only the broker's clock counts, so that a wrong clock on this machine hides nothing.
 */
export async function readStaleness(
  manager: JetStreamManager,
  database: Kysely<Database>,
): Promise<number> {
  for (let attempt = 0; attempt < TRIES_MAX; attempt++) {
    const stream = await readStreamState(manager);
    const floor = await findSettledFloor(database, stream);
    if (floor >= stream.lastSequence) return 0;
    const oldest = await manager.streams.getMessage(INCREMENTS, { seq: floor + 1 });
    if (oldest !== null)
      return Math.max(0, (await readBrokerTime(manager)) - oldest.time.getTime());
  }
  // Counter services settle faster than we can ask.
  return 0;
}
