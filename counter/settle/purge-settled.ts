import { performance } from 'node:perf_hooks';
import type { JetStreamManager } from '@nats-io/jetstream';
import type { Delivery } from '../../nats/pull.ts';
import type { Log } from '../../telemetry/log.ts';
import { createFirstDeliveries } from './first-deliveries.ts';
import { mayPurge } from './may-purge.ts';
import type { StoreHealth } from './store-health.ts';
import { purgeThrough, readDeliveredThrough, type StreamReading } from './stream-state.ts';

/** Purges end this long before the broker could deliver a message again. */
const MARGIN_MS = 1_000;
/** In ack_waits: within two, even 100 000 messages of dead counter services are delivered and committed. */
const POSTPONED_MAX = 2;

export interface PurgerOptions {
  ackWaitMs: number;
  stores: Pick<StoreHealth, 'readProven'>;
  manager: JetStreamManager;
  onPurged: (durationMs: number) => void;
  log: Log;
}

export interface Purger {
  /** To be called with each delivery. */
  delivered: (delivery: Delivery) => void;
  /**
   * Purges what is proven, unless that would delay messages which are about to be delivered again.
   *
   * @returns the sequence through which the stream is purged.
   * @throws StoresDisagree
   */
  purge: () => Promise<number>;
}

export function createPurger({ ackWaitMs, stores, manager, ...options }: PurgerOptions): Purger {
  const limits = {
    redeliveryMs: ackWaitMs - MARGIN_MS,
    postponedMsMax: POSTPONED_MAX * ackWaitMs,
  };
  const firstDeliveries = createFirstDeliveries(limits.redeliveryMs);
  let postponedSince: number | undefined;

  async function purge(): Promise<number> {
    const askedAt = performance.now();
    const { stream, floor } = await stores.readProven();
    const isNeeded = floor >= stream.firstSequence;
    if (isNeeded && !(await isAllowed(stream, floor, askedAt))) return stream.firstSequence - 1;
    postponedSince = undefined;
    if (!isNeeded) return floor;
    const startedAt = performance.now();
    await purgeThrough(manager, floor);
    options.onPurged(performance.now() - startedAt);
    return floor;
  }

  async function isAllowed(
    stream: StreamReading,
    floor: number,
    askedAt: number,
  ): Promise<boolean> {
    const now = performance.now();
    postponedSince ??= now;
    const situation = {
      floor,
      deliveredThrough: stream.lastSequence,
      oldestAgeMs: stream.brokerMs - stream.unsettledSinceMs + (now - askedAt),
      recentSequence: firstDeliveries.lowestRecent(now),
      postponedMs: now - postponedSince,
    };
    if (mayPurge(situation, limits)) return true;
    situation.deliveredThrough = await readDeliveredThrough(manager);
    if (mayPurge(situation, limits)) return true;
    options.log.debug(situation, 'a purge waits for messages that are about to be delivered again');
    return false;
  }

  return {
    delivered: ({ sequence, deliveryCount }) => {
      if (deliveryCount === 1) firstDeliveries.record(sequence, performance.now());
    },
    purge,
  };
}
