import type { JetStreamManager } from '@nats-io/jetstream';
import type { Kysely } from 'kysely';
import { findSettledFloor } from '../../../counter/settle/settled-floor.ts';
import { readStreamState } from '../../../counter/settle/stream-state.ts';
import { INCREMENTS } from '../../../nats/streams.ts';
import type { Database } from '../../../schema/database/tables.ts';

/** A message that is settled between two questions makes a third one necessary. */
const TRIES_MAX = 3;

/**
 * The age, in milliseconds, of the oldest message that the database does not know as settled; 0
 * where there is none. By the broker's clock alone, so that a skew of this machine's hides nothing.
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
    if (oldest !== null) return Math.max(0, (await brokerTime(manager)) - oldest.time.getTime());
  }
  // Counters settle faster than we ask.
  return 0;
}

async function brokerTime(manager: JetStreamManager): Promise<number> {
  const info = await manager.streams.info(INCREMENTS);
  // Servers from 2.11 tell their time; the client's type does not know it in every version.
  const { ts } = info as { ts?: string };
  return ts === undefined ? Date.now() : Date.parse(ts);
}
