/*
 * A counter: pulls, holds, flushes, settles. Two loops, one that pulls (pulling.ts) and one that
 * flushes (flushing.ts), share what is held (buffer.ts) and what is known of broker and database
 * (stores.ts). Beside them runs the housekeeping.
 */
import { performance } from 'node:perf_hooks';
import type { JetStreamManager } from '@nats-io/jetstream';
import type { Kysely } from 'kysely';
import type { ConnectionWatch } from '../nats/connect.ts';
import type { Puller } from '../nats/pull.ts';
import type { Database } from '../schema/database/tables.ts';
import type { Log } from '../telemetry/log.ts';
import { createDeadlineTimer } from './consume/deadline-timer.ts';
import { createFlushClock } from './consume/flush-clock.ts';
import { flushUntilStopped } from './flush/flush-loop.ts';
import { createMessageBuffer } from './consume/message-buffer.ts';
import { startMaintenance } from './maintenance/maintenance.ts';
import type { CounterMetrics, CounterObservation } from './telemetry/metrics.ts';
import { pullUntilStopped } from './consume/pull-loop.ts';
import { createSettler } from './settle/settle.ts';
import { openStores } from './settle/store-health.ts';
import { purgeThrough } from './settle/stream-state.ts';

/** How long a stop waits for other counters' commits to make its acknowledgements one purge. */
const SETTLE_AT_STOP_MS = 2_000;

export interface CounterOptions {
  database: Kysely<Database>;
  manager: JetStreamManager;
  puller: Puller;
  watch: ConnectionWatch;
  /** Publishes to an acknowledgement's reply subject. */
  send: (reply: string, kind: string) => void;
  /** Hands the broker the dead letters that flushes have written down. */
  sendDeadLetters: () => Promise<void>;
  flushIntervalMs: number;
  ackWaitMs: number;
  keysHeldMax: number;
  messagesHeldMax: number;
  idempotencyKeptMs: number;
  metrics: CounterMetrics;
  log: Log;
}

export interface Counter {
  readonly held: CounterObservation;
  /** Resolves when the counter has stopped: what it held is committed and settled, or given back. */
  stop: () => Promise<void>;
  /** Rejects where the counter can't go on. */
  readonly failed: Promise<never>;
}

/** Prepares a counter, which waits for both servers, and lets it run. @throws StoresDisagree */
export async function startCounter(options: CounterOptions, signal: AbortSignal): Promise<Counter> {
  const { manager, puller, watch, send, metrics, log } = options;
  const failure = Promise.withResolvers<never>();
  const stores = await openStores({ ...options, onDisagreement: failure.reject }, signal);
  const settler = createSettler({ ackWaitMs: options.ackWaitMs, purge: purgeSettled, send, log });
  const buffer = createMessageBuffer({
    messagesMax: options.messagesHeldMax,
    keysMax: options.keysHeldMax,
    settler,
    onSkew: metrics.skewSeen,
  });
  const clock = createFlushClock(options.flushIntervalMs);
  const stopping = new AbortController();
  const timer = createDeadlineTimer(() => (stopping.signal.aborted ? 0 : buffer.dueAt(clock)));

  const shared = { ...options, stores, buffer, stopping: stopping.signal };
  const housekeeping = startMaintenance(shared);
  const pulling = pullUntilStopped({ ...shared, onTaken: timer.check });
  const flushing = flushUntilStopped({
    ...shared,
    settler,
    clock,
    timer,
    pulling,
    onFlushed: () => {
      void settler.settle();
      void housekeeping.sendDeadLetters();
    },
  });
  pulling.catch(failure.reject);
  flushing.catch(failure.reject);

  async function purgeSettled(): Promise<number> {
    const { stream, floor } = await stores.readProven();
    if (floor < stream.firstSequence) return floor;
    const startedAt = performance.now();
    await purgeThrough(manager, floor);
    metrics.purged(performance.now() - startedAt);
    return floor;
  }

  /** In order: no new pull, the last flush, the acknowledgements. */
  async function stop(): Promise<void> {
    stopping.abort();
    timer.check();
    housekeeping.stop();
    await flushing.catch(() => undefined);
    await housekeeping.sendDeadLetters();
    await settler.finish(SETTLE_AT_STOP_MS);
    puller.close();
  }

  return {
    get held() {
      const { messages, keys, oldestAgeMs } = buffer;
      return {
        messages,
        keys,
        oldestAgeMs,
        pending: settler.pending,
        isBrokerConnected: watch.isConnected,
        isDatabaseConnected: !stores.isDatabaseAway,
      };
    },
    stop,
    failed: failure.promise,
  };
}
