import { setTimeout as delay } from 'node:timers/promises';
import { performance } from 'node:perf_hooks';
import type { Kysely } from 'kysely';
import type { Database } from '../../schema/database/tables.ts';
import { describeDatabaseError } from '../../schema/database/describe-database-error.ts';
import type { Log } from '../../telemetry/log.ts';
import { isDataError, isFaultOfOurs } from './database-error.ts';
import { flush, type FlushResult } from './flush.ts';
import { bisect, splitByTally, type FlushBatch } from '../consume/flush-batch.ts';
import { StoresDisagree } from '../settle/compare-stores.ts';
import { TallyConflict } from '../consume/tally.ts';

const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 2_000;

export interface RetryOptions {
  database: Kysely<Database>;
  /** Checks that the stream is still the same one, and returns its incarnation. */
  readIncarnation: () => Promise<number>;
  /** Told of each part of the batch that is committed. */
  onCommitted: (batch: FlushBatch, result: FlushResult) => void;
  /** How long, in milliseconds, a failing batch is tried. */
  triesMs: () => number;
  log: Log;
}

/**
 * Flushes a batch, again and again while the database is away. An ambiguous commit needs no care: a
 * second try finds all ids there and adds nothing.
 *
 * @throws TallyConflict, StoresDisagree, or the database's last error when the time is used up.
 */
export async function flushWithRetries(batch: FlushBatch, options: RetryOptions): Promise<void> {
  const { database, log } = options;
  const startedAt = performance.now();
  for (let attempt = 0; ; attempt++) {
    let result: FlushResult;
    try {
      result = await flush(database, batch, await options.readIncarnation());
    } catch (error) {
      if (error instanceof TallyConflict || error instanceof StoresDisagree) throw error;
      // Of our own faults some pass; a database that breaks off shows itself in odd ways.
      if (isDataError(error) || (isFaultOfOurs(error) && attempt > 0)) {
        await isolate(batch, options, error);
        return;
      }
      if (performance.now() - startedAt > options.triesMs()) throw error;
      log.warn({ attempt }, `a flush failed and is tried again: ${describeDatabaseError(error)}`);
      await delay(Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** attempt));
      continue;
    }
    options.onCommitted(batch, result);
    return;
  }
}

/** What the database or our own code stumbles over costs its own message only: the batch is halved down to it. */
async function isolate(batch: FlushBatch, options: RetryOptions, error: unknown): Promise<void> {
  const { tallied, kept } = splitByTally(batch);
  if (tallied.messages.size > 0) {
    // What is in the tally comes again with its bodies, and then beside others that are in a tally.
    if (kept.messages.size === 0)
      throw new TallyConflict('a message can’t be counted', { cause: error });
    await flushWithRetries(kept, options);
    await flushWithRetries(tallied, options);
    return;
  }
  const [message] = batch.messages.values();
  if (batch.messages.size > 1) {
    for (const half of bisect(batch)) await flushWithRetries(half, options);
    return;
  }
  if (message?.body === undefined || message.body.refusal !== undefined) throw error;
  options.log.error({ err: error, sequence: message.sequence }, 'a message can’t be counted');
  message.body.refusal = isDataError(error) ? 'refused-by-database' : 'not-countable';
  await flushWithRetries(batch, options);
}
