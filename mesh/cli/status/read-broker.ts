import type { JetStreamManager } from '@nats-io/jetstream';
import { isRefusal } from '../../../nats/error-codes.ts';
import {
  describeFault,
  findConsumerFaults,
  findDeadLettersFaults,
  findStreamFaults,
  PAUSE,
} from '../../../nats/settings.ts';
import { COUNTER, INCREMENTS, INCREMENTS_DEAD } from '../../../nats/streams.ts';

export interface BrokerStatus {
  stream: {
    messages: number;
    bytes: number;
    bytesMax: number;
    firstSequence: number;
    lastSequence: number;
    replicas: number;
  };
  consumer: {
    /** Not yet delivered to any counter service. */
    undelivered: number;
    /** Delivered and not yet acknowledged. */
    ackPending: number;
    redelivered: number;
    /** Pulls of counter services that wait for messages. */
    pullsWaiting: number;
  };
  consumerState: 'there' | 'gone' | 'paused';
  deadLetters: { messages: number; lastAt: string | null };
  /** Settings that break a promise, a sentence each. */
  settings: string[];
}

export async function readBroker(manager: JetStreamManager): Promise<BrokerStatus> {
  const [{ config, state }, consumer, dead] = await Promise.all([
    manager.streams.info(INCREMENTS),
    manager.consumers.info(INCREMENTS, COUNTER).catch(ignoreMissing),
    manager.streams.info(INCREMENTS_DEAD),
  ]);
  return {
    settings: [
      ...findStreamFaults(config),
      ...findDeadLettersFaults(dead.config),
      ...(consumer === undefined ? [] : findConsumerFaults(consumer)),
    ]
      .filter(({ name }) => name !== PAUSE)
      .map(describeFault),
    consumerState: consumer === undefined ? 'gone' : isPaused(consumer) ? 'paused' : 'there',
    stream: {
      messages: state.messages,
      bytes: state.bytes,
      bytesMax: config.max_bytes,
      firstSequence: state.first_seq,
      lastSequence: state.last_seq,
      replicas: config.num_replicas,
    },
    consumer: {
      undelivered: consumer?.num_pending ?? state.messages,
      ackPending: consumer?.num_ack_pending ?? 0,
      redelivered: consumer?.num_redelivered ?? 0,
      pullsWaiting: consumer?.num_waiting ?? 0,
    },
    deadLetters: {
      messages: dead.state.messages,
      lastAt: dead.state.messages === 0 ? null : dead.state.last_ts,
    },
  };
}

function isPaused(consumer: Parameters<typeof findConsumerFaults>[0]): boolean {
  return findConsumerFaults(consumer).some(({ name }) => name === PAUSE);
}

function ignoreMissing(error: unknown): undefined {
  if (!isRefusal(error, 'no-consumer')) throw error;
}
