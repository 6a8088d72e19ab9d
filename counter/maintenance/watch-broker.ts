import { performance } from 'node:perf_hooks';
import type { ConsumerInfo, JetStreamManager, StreamConfig, StreamInfo } from '@nats-io/jetstream';
import type { ConnectionWatch } from '../../nats/connect.ts';
import { findDenial } from '../../nats/denials.ts';
import { isRefusal } from '../../nats/error-codes.ts';
import { isCurrent, type Sightings } from '../../nats/replica-state.ts';
import { replicasOf } from '../../nats/replicas.ts';
import {
  describeFault,
  findConsumerFaults,
  findConsumerStop,
  findDeadLettersFaults,
  findStreamFaults,
  NO_CONSUMER,
  type SettingFault,
} from '../../nats/settings.ts';
import { COUNTER, INCREMENTS, INCREMENTS_DEAD } from '../../nats/streams.ts';
import type { Log } from '../../telemetry/log.ts';
import { toReading, type StreamReading } from '../settle/stream-state.ts';
import type { Stats } from '../telemetry/stats.ts';
import { createDeadLetterReader } from './read-dead-letters.ts';
import { judgeReplicas } from './judge-replicas.ts';

/** Lag matters most while nothing is flushed, and anyone with rights may change a setting at any time. */
const LOOK_MS = 2_000;
/** Every second look: consumer and dead letters change less than the stream. */
const OTHERS_MS = 1.5 * LOOK_MS;
/** While a server may be catching up: one that keeps up is seen with everything in some of the looks. */
const LOOK_AGAIN_MS = 500;
/** After a denial, which the server logs each time. */
const DENIED_MS = 60_000;

export interface BrokerWatchOptions {
  manager: JetStreamManager;
  watch: ConnectionWatch;
  /** The shortest ack_wait that leaves time for a flush. */
  ackWaitMsMin: number;
  /** Called with what was read of the stream, every two seconds. */
  onReading: (reading: StreamReading) => void;
  stats: Stats;
  log: Log;
}

/**
 * Reads what the broker says of stream, consumer and dead letters, for the stats, and compares the settings
 * with those that the promises rest on. Says each that is wrong once, and once when it is right again.
 *
 * @returns a function that stops it.
 */
export function watchBroker(options: BrokerWatchOptions): () => void {
  const { manager, watch, ackWaitMsMin, onReading, stats, log } = options;
  const sightings: Sightings = new Map();
  const readDeadLetters = createDeadLetterReader(manager);
  let reportedAt = -Infinity;
  /** Consumer and dead letters, as they were read last. */
  let consumer: ConsumerInfo | undefined;
  let dead: StreamInfo | undefined;
  let othersReadAt = -Infinity;
  let behindSince: number | undefined;
  let deniedAt = -Infinity;
  /** As it was read last. */
  let deadConfig: StreamConfig | undefined;
  /** What is wrong, and the line for when it is right again. */
  let said = new Map<string, string>();

  async function look(): Promise<void> {
    if (!watch.isConnected) return;
    const askedAt = performance.now();
    const increments = await manager.streams.info(INCREMENTS);
    const { config, state } = increments;
    const size = { bytes: state.bytes, bytesMax: Math.max(0, config.max_bytes) };
    const reading = toReading(increments, performance.now() - askedAt);
    stats.streamSeen(reading, size);
    if (askedAt - reportedAt >= LOOK_MS) {
      reportedAt = askedAt;
      onReading(reading);
    }
    if (askedAt - othersReadAt >= OTHERS_MS || stats.replicas?.isSettling === true) {
      consumer = await lookAtConsumer();
      dead = await lookAtDeadLetters().catch(ignoreUnread);
      othersReadAt = askedAt;
    }
    const ofConsumer = consumer && findConsumerFaults(consumer, ackWaitMsMin);
    deadConfig = dead?.config ?? deadConfig;
    const ofDead = deadConfig ? findDeadLettersFaults(deadConfig) : [];
    const faults = [...findStreamFaults(config), ...(ofConsumer ?? []), ...ofDead];
    stats.settingsSeen(faults);
    stats.consumerStop = findConsumerStop(ofConsumer);
    say(faults, ofConsumer === undefined);

    const now = performance.now();
    const replicas = replicasOf({ increments, dead, consumer }, { sightings, now });
    behindSince = replicas.every(isCurrent) ? undefined : (behindSince ?? now);
    stats.replicasSeen(judgeReplicas(replicas, now - (behindSince ?? now)));
  }

  /** While its leader is silent, the stream's still tells of replicas that are lost. */
  async function lookAtConsumer(): Promise<ConsumerInfo | undefined> {
    try {
      return await manager.consumers.info(INCREMENTS, COUNTER);
    } catch (error) {
      if (isRefusal(error, 'no-consumer')) return undefined;
      if (consumer === undefined) throw error;
      return consumer;
    }
  }

  /** An older configuration of the broker does not let a counter service read them, which is logged as any denial. */
  async function lookAtDeadLetters(): Promise<StreamInfo | undefined> {
    if (performance.now() - deniedAt < DENIED_MS) return undefined;
    try {
      const info = await manager.streams.info(INCREMENTS_DEAD);
      stats.deadLettersSeen(await readDeadLetters(info));
      return info;
    } catch (error) {
      stats.deadLettersSeen(undefined);
      if (findDenial(error) === undefined) throw error;
      deniedAt = performance.now();
      return undefined;
    }
  }

  function say(faults: SettingFault[], isConsumerMissing: boolean): void {
    const found = new Map(
      faults.map((fault) => [describeFault(fault), `${fault.of}: ${fault.name} has changed again`]),
    );
    if (isConsumerMissing) found.set(NO_CONSUMER, `the consumer ${COUNTER} is there again`);
    for (const text of found.keys()) if (!said.has(text)) log.error(text);
    for (const [text, isOver] of said) if (!found.has(text)) log.info(isOver);
    said = found;
  }

  function ignoreUnread(error: unknown): undefined {
    log.debug({ err: error }, 'the broker could not be read');
  }

  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  async function lookAgainAndAgain(): Promise<void> {
    await look().catch(ignoreUnread);
    if (isStopped) return;
    const delayMs = stats.replicas?.isSettling === true ? LOOK_AGAIN_MS : LOOK_MS;
    timer = setTimeout(() => void lookAgainAndAgain(), delayMs);
  }

  void lookAgainAndAgain();
  return () => {
    isStopped = true;
    clearTimeout(timer);
  };
}
