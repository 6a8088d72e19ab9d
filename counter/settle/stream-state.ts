import type { JetStreamManager } from '@nats-io/jetstream';
import { findLossyLimits } from '../../nats/settings.ts';
import { INCREMENTS } from '../../nats/streams.ts';

/** What a counter service needs to know of the stream. */
export interface StreamState {
  /** The creation time in milliseconds since 1970; a stream that was made again has another one. */
  incarnation: number;
  /** The first sequence that is still stored; last + 1 if none is. */
  firstSequence: number;
  lastSequence: number;
  messages: number;
  /** No unsettled message was stored before this time (milliseconds since 1970). */
  unsettledSinceMs: number;
  /** A limit by which the stream drops messages that were not counted, as `max_age of 10 s`. */
  limitedBy?: string;
}

export async function readStreamState(manager: JetStreamManager): Promise<StreamState> {
  const { config, created, state } = await manager.streams.info(INCREMENTS);
  const limitedBy = findLossyLimits(config);
  return {
    ...(limitedBy !== undefined && { limitedBy }),
    incarnation: Date.parse(created),
    firstSequence: state.first_seq === 0 ? 1 : state.first_seq,
    lastSequence: state.last_seq,
    messages: state.messages,
    // Stream time only: a wrong clock of ours must not make a message look older.
    unsettledSinceMs: Math.max(0, Date.parse(state.messages > 0 ? state.first_ts : state.last_ts)),
  };
}

/** Removes everything up to a sequence in one operation, and moves the consumer's ack floor with it. */
export async function purgeThrough(manager: JetStreamManager, sequence: number): Promise<void> {
  await manager.streams.purge(INCREMENTS, { seq: sequence + 1 });
}
