/*
 * The counter service. Two loops share the message buffer (consume/message-buffer.ts) and the health of
 * broker and database (settle/store-health.ts): one pulls messages (consume/pull-loop.ts), the other
 * flushes them (flush/flush-loop.ts). Maintenance runs beside them.
 */
import type { JetStreamManager } from '@nats-io/jetstream';
import type { Kysely } from 'kysely';
import type { ConnectionWatch } from '../nats/connect.ts';
import { ackWaitMs } from '../nats/streams.ts';
import type { Puller } from '../nats/pull.ts';
import type { Database } from '../schema/database/tables.ts';
import type { Log } from '../telemetry/log.ts';
import { throttleWarnings } from '../telemetry/throttled-warning.ts';
import { createClears } from './clear/clears.ts';
import { createDeadlineTimer } from './consume/deadline-timer.ts';
import { createFlushClock } from './consume/flush-clock.ts';
import { createMessageBuffer } from './consume/message-buffer.ts';
import { createSuspects } from './consume/suspects.ts';
import { pullUntilStopped } from './consume/pull-loop.ts';
import { flushUntilStopped } from './flush/flush-loop.ts';
import { startMaintenance } from './maintenance/maintenance.ts';
import { createSettler } from './settle/settle.ts';
import { streamHasAnother, type StoresDisagree } from './settle/compare-stores.ts';
import { openStores } from './settle/store-health.ts';
import { createPurger } from './settle/purge-settled.ts';
import type { Held } from './telemetry/metrics.ts';
import type { Stats } from './telemetry/stats.ts';
import type { FlushTracing } from './telemetry/tracing.ts';

/** How long a stop waits for the commits of other services, so that one purge acknowledges everything. */
const SETTLE_AT_STOP_MS = 2_000;
/** How long it sends dead letters; those that are left wait in the database for any counter service. */
const SEND_AT_STOP_MS = 2_000;

export interface CounterOptions {
  database: Kysely<Database>;
  databaseUser: string;
  manager: JetStreamManager;
  puller: Puller;
  watch: ConnectionWatch;
  /** Publishes to an acknowledgement's reply subject. */
  send: (reply: string, kind: string) => void;
  /** Publishes the dead letters that flushes have written. */
  sendDeadLetters: (isEnough: () => boolean) => Promise<void>;
  flushIntervalMs: number;
  ackWaitMs: number;
  keysHeldMax: number;
  messagesHeldMax: number;
  idempotencyKeptMs: number;
  stats: Stats;
  /** Absent if traces are off. */
  tracing?: FlushTracing;
  log: Log;
}

export interface CounterService {
  readonly held: Held;
  /** Answers a gateway that asks for a counter to be cleared: JSON, as schema/message/clear-request.ts has it. */
  answerClear: (text: string) => Promise<string>;
  /** Resolves once everything held is committed and settled, or returned to the broker. */
  stop: () => Promise<void>;
  /** Rejects if the service can't continue. */
  readonly failed: Promise<never>;
}

/** Waits for broker and database, and until they agree, then runs the service. */
export async function startCounter(
  options: CounterOptions,
  signal: AbortSignal,
): Promise<CounterService> {
  const { puller, watch, send, stats, tracing, log } = options;
  const failure = Promise.withResolvers<never>();
  const stores = await openStores(
    { ...options, onMadeAgain: (error) => void endWith(error) },
    signal,
  );
  const purger = createPurger({
    ...options,
    stores,
    onPurged: (durationMs) => {
      stats.purged(durationMs);
      tracing?.purged(durationMs);
    },
  });
  const settler = createSettler({ ackWaitMs: options.ackWaitMs, purge: purger.purge, send, log });
  const suspects = createSuspects();
  const buffer = createMessageBuffer({
    messagesMax: options.messagesHeldMax,
    keysMax: options.keysHeldMax,
    settler,
    brokerTimeMs: stores.brokerTimeMs,
    onSkew: stats.skewSeen,
    isSuspect: suspects.has,
    isParkingFull: () => stats.parked?.isFull ?? false,
    onReplaced: (sequence) => stores.refuseReplaced(streamHasAnother(sequence)),
  });
  const clock = createFlushClock(options.flushIntervalMs);
  const stopping = new AbortController();
  const flushTimer = createDeadlineTimer(() => (stopping.signal.aborted ? 0 : buffer.dueAt(clock)));

  const clears = createClears({ database: options.database, stores, log });

  const ackWaitMsMin = ackWaitMs(options.flushIntervalMs);
  const shared = { ...options, ackWaitMsMin, stores, buffer, stopping: stopping.signal };
  const maintenance = startMaintenance(shared);
  const pulling = pullUntilStopped({
    ...shared,
    onDelivery: purger.delivered,
    onTaken: flushTimer.check,
  });
  const flushing = flushUntilStopped({
    ...shared,
    settler,
    suspects,
    clock,
    flushTimer,
    pulling,
    onCommitted: (result, times) => {
      stats.flushed(result, times);
      tracing?.flushed(result, times);
      if (result.deadLetters > 0) void maintenance.sendDeadLetters();
    },
    warn: throttleWarnings(log),
    onFlushed: () => void settler.settle(),
  });
  pulling.catch(failure.reject);
  flushing.catch(failure.reject);

  /** Ends the service once what it holds is committed. */
  async function endWith(error: StoresDisagree): Promise<void> {
    try {
      await stop();
    } finally {
      failure.reject(error);
    }
  }

  /** In order: stop pulling, flush for the last time, acknowledge. */
  async function stop(): Promise<void> {
    stopping.abort();
    flushTimer.check();
    const maintained = maintenance.stop();
    await clears.drain();
    await flushing.catch(() => undefined);
    await maintained;
    await maintenance.sendDeadLetters(SEND_AT_STOP_MS);
    await settler.finish(SETTLE_AT_STOP_MS);
    stores.database.stop();
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
      };
    },
    answerClear: clears.answer,
    stop,
    failed: failure.promise,
  };
}
