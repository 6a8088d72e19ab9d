import { setTimeout as delay } from 'node:timers/promises';
import { performance } from 'node:perf_hooks';
import type { Kysely } from 'kysely';
import type { Database } from '../../schema/database/tables.ts';
import type { Log } from '../../telemetry/log.ts';
import type { DeadlineTimer } from '../consume/deadline-timer.ts';
import type { FlushClock } from '../consume/flush-clock.ts';
import { flushWithRetries } from './retry-flush.ts';
import type { MessageBuffer } from '../consume/message-buffer.ts';
import type { HeldMessage, FlushBatch } from '../consume/flush-batch.ts';
import type { CounterMetrics } from '../telemetry/metrics.ts';
import type { Settler } from '../settle/settle.ts';
import { StoresDisagree } from '../settle/compare-stores.ts';
import type { StoreHealth } from '../settle/store-health.ts';
import { TallyConflict } from '../consume/tally.ts';

/** At most four flushes a second, however old what comes again may be. */
const FLUSH_SPACING_MS = 250;
/** At a stop: how soon what is due, or the end of the pulls, is noticed. */
const STOP_TICK_MS = 25;
/** A batch that could not be flushed in this time is given back; at a stop, sooner. */
const FLUSH_TRIES_MS = 30_000;
const LAST_FLUSH_TRIES_MS = 10_000;
/** What is held is claimed again this long before the broker would offer it to others. */
const EXTEND_MARGIN_MS = 2_000;
const EXTEND_TICK_MS = 500;

const NAK = '-NAK';
const PROGRESS = '+WPI';

export interface FlushLoopOptions {
  database: Kysely<Database>;
  stores: StoreHealth;
  buffer: MessageBuffer;
  settler: Settler;
  clock: FlushClock;
  /** Set to when the next flush is due. */
  timer: DeadlineTimer;
  ackWaitMs: number;
  /** Publishes to an acknowledgement's reply subject. */
  send: (reply: string, kind: string) => void;
  /** Told after each flush, whether it succeeded or not. */
  onFlushed: () => void;
  /** Resolves when nothing more is taken. */
  pulling: Promise<void>;
  stopping: AbortSignal;
  metrics: CounterMetrics;
  log: Log;
}

/**
 * Flushes whenever it is due, one batch at a time, and at a stop what is left.
 *
 * @throws StoresDisagree
 */
export async function flushUntilStopped(options: FlushLoopOptions): Promise<void> {
  const { buffer, clock, timer, stopping, pulling } = options;
  const isDue = () => buffer.dueAt(clock) <= performance.now();
  while (!stopping.aborted) {
    if (isDue()) {
      await flushCollected(options);
      await delay(FLUSH_SPACING_MS);
    } else await timer.sleep();
  }
  // The pull under way and the last one may take a second; what is due does not wait for them.
  let isPulling = true;
  const endPulling = () => (isPulling = false);
  void pulling.then(endPulling, endPulling);
  while (isPulling) {
    if (isDue()) await flushCollected(options);
    await delay(STOP_TICK_MS);
  }
  await pulling;
  while (buffer.collecting.messages.size > 0) await flushCollected(options);
}

async function flushCollected(options: FlushLoopOptions): Promise<void> {
  const { buffer, settler, stores, stopping, metrics, log } = options;
  const startedAt = performance.now();
  const batch = buffer.startFlush();
  const claims = setInterval(() => extendAckDeadlines(options), EXTEND_TICK_MS);
  try {
    await flushWithRetries(batch, {
      database: options.database,
      log,
      readIncarnation: stores.readIncarnation,
      triesMs: () => (stopping.aborted ? LAST_FLUSH_TRIES_MS : FLUSH_TRIES_MS),
      onCommitted: (part, result) => {
        const now = performance.now();
        const times = { durationMs: now - startedAt, stalenessMs: now - result.oldestBornAt };
        metrics.flushed(result, times);
        const { messages, increments, keys, alreadyApplied, deadLetters, stepsMs } = result;
        const counts = { messages, increments, keys, alreadyApplied, deadLetters };
        log.debug({ ...counts, ...times, stepsMs }, 'flushed');
        settler.add(part.messages.values());
      },
    });
    options.clock.record(performance.now() - startedAt);
  } catch (error) {
    nakAll(error, batch, options);
    if (error instanceof StoresDisagree) throw error;
  } finally {
    clearInterval(claims);
    buffer.endFlush();
  }
  options.onFlushed();
}

/** What is not committed goes back to the broker; what was committed after all, the ledger knows. */
function nakAll(error: unknown, batch: FlushBatch, options: FlushLoopOptions): void {
  const { buffer, settler, stores, send, metrics, log } = options;
  let messages: HeldMessage[] = [...batch.messages.values()];
  if (error instanceof TallyConflict) {
    log.warn({ err: error }, 'a batch is taken again, message by message');
  } else if (!(error instanceof StoresDisagree)) {
    log.error({ err: error }, 'a batch could not be flushed and is given back');
    messages = [...messages, ...buffer.dropCollecting()];
    stores.isDatabaseAway = true;
  }
  for (const { sequence, reply } of messages) if (!settler.has(sequence)) send(reply, NAK);
  metrics.gaveBack(messages.length);
  if (!(error instanceof TallyConflict)) metrics.flushFailed();
}

/** While a flush runs, nothing that is held may be offered to others. */
function extendAckDeadlines({ buffer, ackWaitMs, send }: FlushLoopOptions): void {
  const now = performance.now();
  for (const message of buffer.claimedBefore(now - ackWaitMs + EXTEND_MARGIN_MS)) {
    message.claimedAt = now;
    send(message.reply, PROGRESS);
  }
}
