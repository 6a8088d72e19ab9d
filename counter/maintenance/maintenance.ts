import { performance } from 'node:perf_hooks';
import type { JetStreamManager } from '@nats-io/jetstream';
import type { Kysely } from 'kysely';
import type { ConnectionWatch } from '../../nats/connect.ts';
import type { Database } from '../../schema/database/tables.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Stats } from '../telemetry/stats.ts';
import { describeDeadLetters } from '../flush/describe-dead-letters.ts';
import { countParked } from '../parking/count-parked.ts';
import { StoresDisagree } from '../settle/compare-stores.ts';
import { readStreamState, type StreamReading } from '../settle/stream-state.ts';
import { prune } from './prune.ts';
import { watchBroker } from './watch-broker.ts';
import { watchTables } from './watch-tables.ts';
import type { StoreHealth } from '../settle/store-health.ts';

const PRUNE_MS = 10_000;
/** Where there was nothing to prune; what is past its time harms nobody. */
const PRUNE_IDLE_MS = 60_000;
/**
 * Each flush sends its own dead letters; these were left by a service that died, or while the broker was
 * away.
 */
const DEAD_LETTERS_MS = 5_000;
/** Older counter services may park more at any time. */
const PARKED_MS = 5_000;

export interface MaintenanceOptions {
  database: Kysely<Database>;
  manager: JetStreamManager;
  watch: ConnectionWatch;
  stores: StoreHealth;
  /** Publishes the dead letters that flushes have written. */
  sendDeadLetters: (isEnough: () => boolean) => Promise<void>;
  idempotencyKeptMs: number;
  /** The shortest ack_wait that leaves time for a flush. */
  ackWaitMsMin: number;
  stats: Stats;
  log: Log;
}

export interface Maintenance {
  /** Sends the dead letters that wait, for so long at most; concurrent calls share one run. */
  sendDeadLetters: (forMs?: number) => Promise<void>;
  /** Resolves when nothing is being counted any more. */
  stop: () => Promise<void>;
}

/** Runs the periodic work beside the flushes. What fails is tried again at the next interval. */
export function startMaintenance(options: MaintenanceOptions): Maintenance {
  const { database, watch, stores, idempotencyKeptMs, stats, log } = options;
  let sending: Promise<void> | undefined;
  let sendUntil = Infinity;
  let isPruning = false;
  /** Until then nothing is pruned, since there was nothing to prune. */
  let idleUntil = -Infinity;
  let counting: Promise<void> | undefined;
  let isStopped = false;
  const timers = [
    setInterval(() => void sendDeadLetters(), DEAD_LETTERS_MS),
    setInterval(() => void pruneLedgers(), PRUNE_MS),
    setInterval(startCounting, PARKED_MS),
  ];
  startCounting();
  const stopWatchingTables = watchTables(options);
  const stopWatchingBroker = watchBroker({ ...options, onReading: compareStores });

  function sendDeadLetters(forMs = Infinity): Promise<void> {
    sendUntil = performance.now() + forMs;
    sending ??= sendWritten().finally(() => (sending = undefined));
    return sending;
  }

  /** What can't be sent now stays in the table. */
  async function sendWritten(): Promise<void> {
    if (!watch.isConnected || stores.isDatabaseAway) return;
    try {
      await options.sendDeadLetters(() => performance.now() >= sendUntil);
    } catch (error) {
      log.warn({ err: error }, 'dead letters could not be sent and wait in the database');
    }
  }

  function startCounting(): void {
    if (!watch.isConnected || stores.isDatabaseAway) return;
    // Where none is parked there is nothing to count; how many are is read as often.
    if (stats.parked?.messages === 0) return;
    counting ??= countWaiting().finally(() => (counting = undefined));
  }

  async function countWaiting(): Promise<void> {
    try {
      await countParked({
        database,
        readStreamTimeMs: async () => (await readStreamState(options.manager)).unsettledSinceMs,
        onCommitted: (result, durationMs) => {
          // How long they were parked says nothing of how far this counter service is behind.
          stats.flushed(result, { durationMs, stalenessMs: Infinity });
          const dead = describeDeadLetters([result]);
          if (dead !== undefined) log.warn(dead);
        },
        isStopping: () => isStopped,
        log,
      });
    } catch (error) {
      log.warn({ err: error }, 'parked messages could not be counted and stay parked');
    }
  }

  /** Not only at each flush: a stream that is purged by hand may have nothing to flush. */
  function compareStores(reading: StreamReading): void {
    if (!stores.isDatabaseAway) void stores.look(reading);
  }

  async function pruneLedgers(): Promise<void> {
    if (isPruning || !watch.isConnected || stores.isDatabaseAway) return;
    if (performance.now() < idleUntil) return;
    isPruning = true;
    try {
      const { stream } = await stores.readSettled();
      const isStopping = () => isStopped;
      const { messages, keys } = await prune(database, stream, { idempotencyKeptMs, isStopping });
      // Half a turn less, so that a timer that rings early does not miss it.
      if (messages === 0 && keys === 0)
        idleUntil = performance.now() + PRUNE_IDLE_MS - PRUNE_MS / 2;
    } catch (error) {
      // Where the stores disagree, that is said already.
      if (!(error instanceof StoresDisagree))
        log.warn({ err: error }, 'the ledger could not be pruned');
    } finally {
      isPruning = false;
    }
  }

  return {
    sendDeadLetters,
    stop: async () => {
      isStopped = true;
      timers.forEach(clearInterval);
      stopWatchingTables();
      stopWatchingBroker();
      await counting;
    },
  };
}
