import type { JetStreamManager } from '@nats-io/jetstream';
import type { Kysely } from 'kysely';
import type { ConnectionWatch } from '../nats/connect.ts';
import type { Database } from '../schema/database.ts';
import type { Log } from '../telemetry/log.ts';
import type { CounterMetrics } from './metrics.ts';
import { prune } from './prune.ts';
import { watchStores } from './store-watch.ts';
import type { Stores } from './stores.ts';

const PRUNE_MS = 10_000;
/** Each flush sends its own; these are what a counter that died or a broker that was away has left. */
const DEAD_LETTERS_MS = 2_000;

export interface HousekeepingOptions {
  database: Kysely<Database>;
  manager: JetStreamManager;
  watch: ConnectionWatch;
  stores: Stores;
  /** Hands the broker the dead letters that flushes have written down. */
  sendDeadLetters: () => Promise<void>;
  idempotencyKeptMs: number;
  metrics: CounterMetrics;
  log: Log;
}

export interface Housekeeping {
  /** Sends the dead letters that wait; calls while that runs do nothing. */
  sendLetters: () => Promise<void>;
  stop: () => void;
}

/** What is done beside the way of an increment, from time to time; each failure waits for the next. */
export function startHousekeeping(options: HousekeepingOptions): Housekeeping {
  const { database, watch, stores, idempotencyKeptMs, log } = options;
  let isSending = false;
  const timers = [
    setInterval(() => void sendLetters(), DEAD_LETTERS_MS),
    setInterval(() => void pruneLedgers(), PRUNE_MS),
  ];
  const stopWatching = watchStores(options);

  /** One at a time; what is left over for now is still written down. */
  async function sendLetters(): Promise<void> {
    if (isSending || !watch.isConnected || stores.isDatabaseAway) return;
    isSending = true;
    try {
      await options.sendDeadLetters();
    } catch (error) {
      log.warn({ err: error }, 'dead letters wait in the database');
    }
    isSending = false;
  }

  async function pruneLedgers(): Promise<void> {
    if (!watch.isConnected || stores.isDatabaseAway) return;
    try {
      const { stream, floor } = await stores.readSettled();
      await prune(database, stream, { floor, idempotencyKeptMs });
    } catch (error) {
      log.warn({ err: error }, 'the ledger could not be pruned');
    }
  }

  return {
    sendLetters,
    stop: () => {
      timers.forEach(clearInterval);
      stopWatching();
    },
  };
}
