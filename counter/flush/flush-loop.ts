import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { Kysely } from 'kysely';
import { IN_PROGRESS, NAK } from '../../nats/acknowledgement.ts';
import type { Database } from '../../schema/database/tables.ts';
import type { Log } from '../../telemetry/log.ts';
import type { DeadlineTimer } from '../consume/deadline-timer.ts';
import type { FlushBatch, HeldMessage } from '../consume/flush-batch.ts';
import type { FlushClock } from '../consume/flush-clock.ts';
import type { MessageBuffer } from '../consume/message-buffer.ts';
import type { Settler } from '../settle/settle.ts';
import type { StoreHealth } from '../settle/store-health.ts';
import type { FlushTimes, Stats } from '../telemetry/stats.ts';
import { FlushAborted } from './flush-failure.ts';
import type { FlushResult } from './flush.ts';
import { flushWithRetries } from './flush-with-retries.ts';

/** At most four flushes a second, however old redelivered messages may be. */
const FLUSH_SPACING_MS = 250;
/** At a stop: how soon what is due, or the end of the pulls, is noticed. */
const STOP_TICK_MS = 25;
/** A batch that could not be flushed in this time goes back to the broker; at a stop, sooner. */
const FLUSH_TRIES_MS = 30_000;
const LAST_FLUSH_TRIES_MS = 10_000;
/** Ack deadlines are extended this long before the broker would offer a message to others. */
const EXTEND_MARGIN_MS = 2_000;
const EXTEND_TICK_MS = 500;

export interface FlushLoopOptions {
  database: Kysely<Database>;
  stores: StoreHealth;
  buffer: MessageBuffer;
  settler: Settler;
  clock: FlushClock;
  /** Set to when the next flush is due. */
  flushTimer: DeadlineTimer;
  ackWaitMs: number;
  /** Publishes to an acknowledgement's reply subject. */
  send: (reply: string, kind: string) => void;
  /** Called for each part of a batch that is committed. */
  onCommitted: (result: FlushResult, times: FlushTimes) => void;
  /** Called after each flush, whether it succeeded or not. */
  onFlushed: () => void;
  /** Resolves when no more messages are taken. */
  pulling: Promise<void>;
  stopping: AbortSignal;
  stats: Stats;
  log: Log;
}

/**
 * Flushes whenever it is due, one batch at a time, and at a stop what is left.
 *
 * @throws StoresDisagree
 */
export async function flushUntilStopped(options: FlushLoopOptions): Promise<void> {
  const { buffer, clock, flushTimer, stopping, pulling } = options;
  const isDue = () => buffer.dueAt(clock) <= performance.now();
  while (!stopping.aborted) {
    if (isDue()) {
      await flushCollected(options);
      await delay(FLUSH_SPACING_MS);
    } else await flushTimer.sleep();
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
  const { buffer, settler, stores, stopping, log } = options;
  const startedAt = performance.now();
  const batch = buffer.startFlush();
  const extending = setInterval(extendAckDeadlines, EXTEND_TICK_MS, options);
  try {
    await flushWithRetries(batch, {
      database: options.database,
      log,
      readIncarnation: stores.readIncarnation,
      triesMs: () => (stopping.aborted ? LAST_FLUSH_TRIES_MS : FLUSH_TRIES_MS),
      onCommitted: (part, result) => {
        const now = performance.now();
        const times = { durationMs: now - startedAt, stalenessMs: now - result.oldestBornAt };
        options.onCommitted(result, times);
        const { messages, increments, keys, alreadyApplied, deadLetters, stepsMs } = result;
        const counts = { messages, increments, keys, alreadyApplied, deadLetters };
        log.debug({ ...counts, ...times, stepsMs }, 'flushed');
        settler.add(part.messages.values());
      },
    });
    options.clock.record(performance.now() - startedAt);
  } catch (error) {
    handOver(error, batch, options);
  } finally {
    clearInterval(extending);
    buffer.endFlush();
  }
  options.onFlushed();
}

/**
 * What is not committed goes back to the broker; what was committed after all, the ledger knows.
 *
 * @throws the cause, where the counter service must end.
 */
function handOver(error: unknown, batch: FlushBatch, options: FlushLoopOptions): void {
  const { buffer, stores, stats, log } = options;
  if (!(error instanceof FlushAborted)) throw error;
  const { consequence, cause } = error;
  if (consequence === 'take-again') {
    log.warn({ err: cause }, 'a batch is taken again, message by message');
    nakAll(batch.messages.values(), options);
    return;
  }
  stats.flushFailed();
  if (consequence === 'end') {
    nakAll(batch.messages.values(), options);
    throw cause;
  }
  log.error({ err: cause }, 'a batch could not be flushed and goes back to the broker');
  stores.isDatabaseAway = true;
  nakAll([...batch.messages.values(), ...buffer.dropCollecting()], options);
}

/** But for those of a part of the batch that is committed. */
function nakAll(messages: Iterable<HeldMessage>, { settler, send, stats }: FlushLoopOptions): void {
  let count = 0;
  for (const { sequence, reply } of messages) {
    if (settler.has(sequence)) continue;
    send(reply, NAK);
    count++;
  }
  stats.nakked(count);
}

/** While a flush runs, nothing that is held may be offered to others. */
function extendAckDeadlines({ buffer, ackWaitMs, send }: FlushLoopOptions): void {
  const now = performance.now();
  for (const message of buffer.ackWaitBegunBefore(now - ackWaitMs + EXTEND_MARGIN_MS)) {
    message.ackWaitFrom = now;
    send(message.reply, IN_PROGRESS);
  }
}
