import type { JetStreamManager } from '@nats-io/jetstream';
import { isRefusal } from '../../../nats/error-codes.ts';
import {
  describeFault,
  findConsumerFaults,
  findDeadLettersFaults,
  findStreamFaults,
  NO_CONSUMER,
} from '../../../nats/settings.ts';
import type { Replicas } from '../../../nats/replica-state.ts';
import { lookAtReplicas } from '../../../nats/replicas.ts';
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
  deadLetters: { messages: number; lastAt: string | null };
  /** Settings that break a promise, a sentence each. */
  settings: string[];
  /** Of both streams and the consumer. */
  replicas: Replicas[];
}

export async function readBroker(manager: JetStreamManager): Promise<BrokerStatus> {
  const [{ config, state }, consumer, dead] = await Promise.all([
    manager.streams.info(INCREMENTS),
    manager.consumers.info(INCREMENTS, COUNTER).catch(ignoreMissing),
    manager.streams.info(INCREMENTS_DEAD),
  ]);
  const isReplicated = config.num_replicas > 1 || dead.config.num_replicas > 1;
  return {
    settings: [
      ...findStreamFaults(config),
      ...findDeadLettersFaults(dead.config),
      ...(consumer === undefined ? [] : findConsumerFaults(consumer)),
    ]
      .map(describeFault)
      .concat(consumer === undefined ? [NO_CONSUMER] : []),
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
    replicas: isReplicated ? await lookAtReplicas(manager) : [],
  };
}

function ignoreMissing(error: unknown): undefined {
  if (!isRefusal(error, 'no-consumer')) throw error;
}
