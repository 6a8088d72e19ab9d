import assert from 'node:assert/strict';
import type { JetStreamManager } from '@nats-io/jetstream';
import { INCREMENTS } from '../../nats/streams.ts';

/** The clock of the broker that leads the stream, which stores the messages, in ms since 1970. */
export async function readBrokerTime(manager: JetStreamManager): Promise<number> {
  const { ts } = await manager.streams.info(INCREMENTS);
  assert(ts !== undefined, 'every nats-server that is new enough for a mesh tells its time');
  return Date.parse(ts);
}
