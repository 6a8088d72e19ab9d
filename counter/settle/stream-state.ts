import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import type { JetStreamManager, StreamInfo } from '@nats-io/jetstream';
import { CLOCK_ANSWER_MS_MAX } from '../../nats/broker-clock.ts';
import { findCompleteMs } from './complete-ms.ts';
import { findLossyLimits } from '../../nats/settings.ts';
import { COUNTED_BY, COUNTER, incarnationOf, INCREMENTS } from '../../nats/streams.ts';

/** What a counter service needs to know of the stream. */
export interface StreamState {
  /** A stream that was made again has another one (nats/streams.ts). */
  incarnation: number;
  /** The first sequence that is still stored; last + 1 if none is. */
  firstSequence: number;
  lastSequence: number;
  messages: number;
  /** No unsettled message was stored before this time (milliseconds since 1970). */
  unsettledSinceMs: number;
  /** A limit by which the stream drops messages that were not counted, as `max_age of 10 s`. */
  limitedBy?: string;
  /** The identity of the database that counts it; absent where that was never written. */
  countedBy?: string;
}

export interface StreamReading extends StreamState {
  /** The broker's time of this answer, in milliseconds since 1970. */
  brokerMs: number;
  /** Whether the answer took so long that its time has passed. */
  isLate: boolean;
  /** What was acknowledged before this time of the broker is in the answer; undefined if that is unsure. */
  completeMs: number | undefined;
}

export async function readStreamState(manager: JetStreamManager): Promise<StreamReading> {
  const askedAt = performance.now();
  return toReading(await manager.streams.info(INCREMENTS), performance.now() - askedAt);
}

/** @param elapsedMs how long the answer took. */
export function toReading(info: StreamInfo, elapsedMs: number): StreamReading {
  const { config, state, ts } = info;
  assert(ts !== undefined, 'every nats-server that is new enough for a mesh tells its time');
  const brokerMs = Date.parse(ts);
  const limitedBy = findLossyLimits(config);
  const countedBy = config.metadata?.[COUNTED_BY];
  return {
    ...(countedBy !== undefined && { countedBy }),
    ...(limitedBy !== undefined && { limitedBy }),
    incarnation: incarnationOf(info),
    firstSequence: state.first_seq === 0 ? 1 : state.first_seq,
    lastSequence: state.last_seq,
    messages: state.messages,
    // Stream time only: a wrong clock of ours must not make a message look older.
    unsettledSinceMs: Math.max(0, Date.parse(state.messages > 0 ? state.first_ts : state.last_ts)),
    brokerMs,
    isLate: elapsedMs > CLOCK_ANSWER_MS_MAX,
    completeMs: findCompleteMs({ brokerMs, elapsedMs, cluster: info.cluster, config }),
  };
}

/** What a comparison with the database reads of the stream. */
export interface StreamReaders {
  readStream: () => Promise<StreamState>;
  /** When the message with a sequence was stored (milliseconds since 1970); undefined if it is not there. */
  readStoredMs: (sequence: number) => Promise<number | undefined>;
}

export function streamReaders(manager: JetStreamManager): StreamReaders {
  return {
    readStream: () => readStreamState(manager),
    readStoredMs: async (sequence) =>
      (await manager.streams.getMessage(INCREMENTS, { seq: sequence }))?.time.getTime(),
  };
}

/** The highest sequence that was delivered, to whichever counter service. */
export async function readDeliveredThrough(manager: JetStreamManager): Promise<number> {
  const { delivered } = await manager.consumers.info(INCREMENTS, COUNTER);
  return delivered.stream_seq;
}

/** Removes everything up to a sequence in one operation, and moves the consumer's ack floor with it. */
export async function purgeThrough(manager: JetStreamManager, sequence: number): Promise<void> {
  await manager.streams.purge(INCREMENTS, { seq: sequence + 1 });
}
