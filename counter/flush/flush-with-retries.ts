import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { Kysely } from 'kysely';
import { describeDatabaseError } from '../../schema/database/describe-database-error.ts';
import type { Database } from '../../schema/database/tables.ts';
import type { Log } from '../../telemetry/log.ts';
import { bisect, splitByTally, type FlushBatch } from '../consume/flush-batch.ts';
import { isDataError } from './database-error.ts';
import { FlushConflict } from './flush-conflict.ts';
import { consequenceOf, FlushAborted } from './flush-failure.ts';
import { flush, type FlushResult } from './flush.ts';

const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 2_000;

export interface RetryOptions {
  database: Kysely<Database>;
  /** Checks that the stream is still the same one, and returns its incarnation. */
  readIncarnation: () => Promise<number>;
  /** Called for each part of the batch that is committed. */
  onCommitted: (batch: FlushBatch, result: FlushResult) => void;
  /** How long, in milliseconds, a failing batch is retried. */
  retryForMs: () => number;
  log: Log;
}

/**
 * Flushes a batch, and retries while the database is away. A commit whose outcome is unknown is safe to
 * retry: the next attempt finds all ids and adds nothing. A message that can't be counted does not affect
 * the others.
 *
 * @throws FlushAborted if the batch, or the rest of it, must go back to the broker.
 */
export async function flushWithRetries(batch: FlushBatch, options: RetryOptions): Promise<void> {
  const { database, log } = options;
  const startedAt = performance.now();
  for (let attempt = 0; ; attempt++) {
    let result: FlushResult;
    try {
      result = await flush(database, batch, await options.readIncarnation());
    } catch (error) {
      const isTimeUp = performance.now() - startedAt > options.retryForMs();
      const consequence = consequenceOf(error, { attempt, isTimeUp });
      if (consequence === 'bisect') return flushInParts(batch, options, error);
      if (consequence !== 'retry') throw new FlushAborted(consequence, error);
      log.warn({ attempt }, `a flush failed and is tried again: ${describeDatabaseError(error)}`);
      await delay(Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** attempt));
      continue;
    }
    options.onCommitted(batch, result);
    return;
  }
}

/** Separates the tallied messages, which can't be halved, then halves the others again and again. */
async function flushInParts(
  batch: FlushBatch,
  options: RetryOptions,
  error: unknown,
): Promise<void> {
  const { tallied, withBodies: kept } = splitByTally(batch);
  if (tallied.messages.size > 0) {
    // After the redelivery it has its bodies and can be halved.
    if (kept.messages.size === 0) {
      throw new FlushAborted('redeliver', new FlushConflict('refused-in-tally', error));
    }
    await flushWithRetries(kept, options);
    await flushWithRetries(tallied, options);
    return;
  }
  const [message] = batch.messages.values();
  if (batch.messages.size > 1) {
    for (const half of bisect(batch)) await flushWithRetries(half, options);
    return;
  }
  // The database refuses its dead letter too.
  if (message?.body === undefined || message.body.refusal !== undefined) {
    throw new FlushAborted('give-up', error);
  }
  options.log.error({ err: error, sequence: message.sequence }, 'a message can’t be counted');
  message.body.refusal = isDataError(error) ? 'refused-by-database' : 'not-countable';
  await flushWithRetries(batch, options);
}
