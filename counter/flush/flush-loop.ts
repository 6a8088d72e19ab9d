import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { Kysely } from 'kysely';
import { IN_PROGRESS, NAK, nakAfter } from '../../nats/acknowledgement.ts';
import type { Database } from '../../schema/database/tables.ts';
import type { Log } from '../../telemetry/log.ts';
import type { DeadlineTimer } from '../consume/deadline-timer.ts';
import { rowsOf, type FlushBatch, type HeldMessage } from '../consume/flush-batch.ts';
import type { FlushClock } from '../consume/flush-clock.ts';
import type { MessageBuffer } from '../consume/message-buffer.ts';
import type { Suspects } from '../consume/suspects.ts';
import type { Settler } from '../settle/settle.ts';
import type { StoreHealth } from '../settle/store-health.ts';
import type { Stats } from '../telemetry/stats.ts';
import { describeRefusal } from './database-error.ts';
import { describeDeadLetters } from './describe-dead-letters.ts';
import type { FlushTimes } from './flush-times.ts';
import { StoresDisagree } from '../settle/compare-stores.ts';
import { FlushAborted } from './flush-failure.ts';
import type { FlushResult } from './flush.ts';
import { flushWithRetries } from './flush-with-retries.ts';

/** At most four flushes a second, however old redelivered messages are. */
const FLUSH_SPACING_MS = 250;
/** At a stop: how often to check whether a flush is due or pulling has ended. */
const STOP_TICK_MS = 25;
/** A batch that keeps failing for this long goes back to the broker; at a stop, sooner. */
const FLUSH_RETRY_MS = 30_000;
const LAST_FLUSH_RETRY_MS = 10_000;
/** A message that the database takes in no form is delivered again after this long. */
const LEFT_DELAY_MS = 60_000;
/** Ack deadlines are extended this long before the broker would deliver a message to another service. */
const EXTEND_MARGIN_MS = 2_000;
const EXTEND_TICK_MS = 500;

export interface FlushLoopOptions {
  database: Kysely<Database>;
  stores: StoreHealth;
  buffer: MessageBuffer;
  settler: Settler;
  suspects: Suspects;
  clock: FlushClock;
  /** Sleeps until the next flush is due. */
  flushTimer: DeadlineTimer;
  ackWaitMs: number;
  /** Publishes to an acknowledgement's reply subject. */
  send: (reply: string, kind: string) => void;
  /** Called for each part of a batch that was committed. */
  onCommitted: (result: FlushResult, times: FlushTimes) => void;
  /** Called after each flush, successful or not. */
  onFlushed: () => void;
  /** Logs a line that repeats only from time to time. */
  warn: (line: string) => void;
  /** Resolves when no more messages arrive. */
  pulling: Promise<void>;
  stopping: AbortSignal;
  stats: Stats;
  log: Log;
}

/** Flushes one batch at a time whenever one is due; at a stop, flushes the rest. */
export async function flushUntilStopped(options: FlushLoopOptions): Promise<void> {
  const { buffer, clock, flushTimer, stopping, pulling } = options;
  const isDue = () => buffer.dueAt(clock) <= performance.now();
  while (!stopping.aborted) {
    if (isDue()) {
      await flushCollected(options);
      await delay(FLUSH_SPACING_MS);
    } else await flushTimer.sleep();
  }
  // The current pull and the last one may take a second; a batch that is due does not wait for them.
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
  const rows = rowsOf(batch);
  const committed: FlushResult[] = [];
  /** What is left to the broker already. */
  const left = new Set<number>();
  const extending = setInterval(extendAckDeadlines, EXTEND_TICK_MS, options);
  try {
    await flushWithRetries(batch, {
      database: options.database,
      log,
      readIncarnation: () => stores.readIncarnation(latestStoredAtMs(batch)),
      retryForMs: () => (stopping.aborted ? LAST_FLUSH_RETRY_MS : FLUSH_RETRY_MS),
      onCommitted: (part, result) => {
        const now = performance.now();
        const times = { durationMs: now - startedAt, stalenessMs: now - result.oldestEnteredAt };
        stores.database.committed();
        committed.push(result);
        options.onCommitted(result, times);
        const { messages, increments, keys, alreadyApplied, deadLetters, stepsMs } = result;
        const counts = { messages, increments, keys, alreadyApplied, deadLetters };
        log.debug({ ...counts, ...times, stepsMs }, 'flushed');
        if (result.parked > 0) {
          options.warn(
            'messages of a newer version are parked until a counter service that understands them ' +
              'runs: upgrade counter services',
          );
        }
        settler.add(part.messages.values());
      },
      onRefused: options.suspects.add,
      onTrouble: stores.database.flushFailed,
      onLeft: (part, error) => {
        for (const { sequence, reply } of part.messages.values()) {
          options.warn(
            `PostgreSQL refuses message ${sequence} and its dead letter too, so it stays in the stream: ` +
              describeRefusal(error),
          );
          options.send(reply, nakAfter(LEFT_DELAY_MS));
          left.add(sequence);
        }
      },
    });
    options.clock.record(performance.now() - startedAt, rows);
  } catch (error) {
    for (const sequence of left) batch.messages.delete(sequence);
    handleFailure(error, batch, options);
  } finally {
    clearInterval(extending);
    const dead = describeDeadLetters(committed);
    if (dead !== undefined) log.warn(dead);
    buffer.endFlush();
    stores.database.flushEnded();
  }
  options.onFlushed();
}

/** Returns what is not committed to the broker. If it was committed after all, the ledger knows. */
function handleFailure(error: unknown, batch: FlushBatch, options: FlushLoopOptions): void {
  const { buffer, stores, stats, log } = options;
  if (!(error instanceof FlushAborted)) throw error;
  const { consequence, cause } = error;
  if (consequence === 'redeliver') {
    log.warn({ err: cause }, 'a batch goes back to the broker, to be counted message by message');
    nakAll(batch.messages.values(), options);
    return;
  }
  stats.flushFailed();
  if (consequence === 'hold') {
    const isReplaced = cause instanceof StoresDisagree && cause.kind === 'stream-went-back';
    if (isReplaced) stores.refuseReplaced(cause);
    nakAll(batch.messages.values(), options);
    return;
  }
  log.error({ err: cause }, 'a batch could not be flushed and goes back to the broker');
  nakAll([...batch.messages.values(), ...buffer.dropCollecting()], options);
}

function latestStoredAtMs({ messages }: FlushBatch): number {
  let latest = 0;
  for (const { storedAtMs } of messages.values()) latest = Math.max(latest, storedAtMs);
  return latest;
}

/** Skips messages in a part of the batch that was committed. */
function nakAll(messages: Iterable<HeldMessage>, { settler, send, stats }: FlushLoopOptions): void {
  let count = 0;
  for (const { sequence, reply } of messages) {
    if (settler.has(sequence)) continue;
    send(reply, NAK);
    count++;
  }
  stats.nakked(count);
}

/** While a flush runs, no held message may be delivered to another service. */
function extendAckDeadlines({ buffer, ackWaitMs, send }: FlushLoopOptions): void {
  const now = performance.now();
  for (const message of buffer.ackWaitBegunBefore(now - ackWaitMs + EXTEND_MARGIN_MS)) {
    message.ackWaitFrom = now;
    send(message.reply, IN_PROGRESS);
  }
}
