import { setTimeout as delay } from 'node:timers/promises';
import { performance } from 'node:perf_hooks';
import type { Kysely } from 'kysely';
import type { Database } from '../../schema/database/database.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Alarm } from '../consume/deadline-timer.ts';
import type { FlushClock } from '../consume/flush-clock.ts';
import { flushLoad } from './retry-flush.ts';
import type { Holdings } from '../consume/message-buffer.ts';
import type { HeldMessage, Load } from '../consume/flush-batch.ts';
import type { CounterMetrics } from '../telemetry/metrics.ts';
import type { Settler } from '../settle/settle.ts';
import { StoresDisagree } from '../settle/settled-floor.ts';
import type { Stores } from '../settle/store-health.ts';
import { TallyConflict } from '../consume/tally.ts';

/** At most four flushes a second, however old what comes again may be. */
const FLUSH_SPACING_MS = 250;
/** At a stop: how soon what is due, or the end of the pulls, is noticed. */
const STOP_TICK_MS = 25;
/** A load that could not be flushed in this time is given back; at a stop, sooner. */
const FLUSH_TRIES_MS = 30_000;
const LAST_FLUSH_TRIES_MS = 10_000;
/** What is held is claimed again this long before the broker would offer it to others. */
const CLAIM_MARGIN_MS = 2_000;
const CLAIM_TICK_MS = 500;

const NAK = '-NAK';
const PROGRESS = '+WPI';

export interface FlushingOptions {
  database: Kysely<Database>;
  stores: Stores;
  holdings: Holdings;
  settler: Settler;
  clock: FlushClock;
  /** Set to when the next flush is due. */
  alarm: Alarm;
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
 * Flushes whenever it is due, one load at a time, and at a stop what is left.
 *
 * @throws StoresDisagree
 */
export async function flushUntilStopped(options: FlushingOptions): Promise<void> {
  const { holdings, clock, alarm, stopping, pulling } = options;
  const isDue = () => holdings.dueAt(clock) <= performance.now();
  while (!stopping.aborted) {
    if (isDue()) {
      await flushCollected(options);
      await delay(FLUSH_SPACING_MS);
    } else await alarm.sleep();
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
  while (holdings.collecting.messages.size > 0) await flushCollected(options);
}

async function flushCollected(options: FlushingOptions): Promise<void> {
  const { holdings, settler, stores, stopping, metrics, log } = options;
  const startedAt = performance.now();
  const load = holdings.startFlush();
  const claims = setInterval(() => claimHeld(options), CLAIM_TICK_MS);
  try {
    await flushLoad(load, {
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
    giveBack(error, load, options);
    if (error instanceof StoresDisagree) throw error;
  } finally {
    clearInterval(claims);
    holdings.endFlush();
  }
  options.onFlushed();
}

/** What is not committed goes back to the broker; what was committed after all, the ledger knows. */
function giveBack(error: unknown, load: Load, options: FlushingOptions): void {
  const { holdings, settler, stores, send, metrics, log } = options;
  let messages: HeldMessage[] = [...load.messages.values()];
  if (error instanceof TallyConflict) {
    log.warn({ err: error }, 'a load is taken again, message by message');
  } else if (!(error instanceof StoresDisagree)) {
    log.error({ err: error }, 'a load could not be flushed and is given back');
    messages = [...messages, ...holdings.dropCollecting()];
    stores.isDatabaseAway = true;
  }
  for (const { sequence, reply } of messages) if (!settler.has(sequence)) send(reply, NAK);
  metrics.gaveBack(messages.length);
  if (!(error instanceof TallyConflict)) metrics.flushFailed();
}

/** While a flush runs, nothing that is held may be offered to others. */
function claimHeld({ holdings, ackWaitMs, send }: FlushingOptions): void {
  const now = performance.now();
  for (const message of holdings.claimedBefore(now - ackWaitMs + CLAIM_MARGIN_MS)) {
    message.claimedAt = now;
    send(message.reply, PROGRESS);
  }
}
