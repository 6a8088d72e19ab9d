/*
 * Flushes a batch until it is committed. What follows a failure is in flush-failure.ts; these are the ways
 * to isolate what the database refuses, each tried when the one before did not help:
 *   1. tallied messages and those with bodies apart, since a tally can't be taken apart. A tally with
 *      something refused goes back to the broker, and comes again with bodies;
 *   2. one transaction that leaves out increments (upsert-separately.ts);
 *   3. if very many are refused, the same in small parts;
 *   4. if it is not the increments, messages: halved down to one, which becomes a dead letter as a whole;
 *   5. if not even its dead letter is taken, it is left to the broker, and others are counted.
 * Before that, a probe must show that the database takes anything at all.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { Kysely } from 'kysely';
import { describeDatabaseError } from '../../schema/database/describe-database-error.ts';
import type { Database } from '../../schema/database/tables.ts';
import type { Log } from '../../telemetry/log.ts';
import {
  bisect,
  splitByIncrements,
  splitByTally,
  type FlushBatch,
} from '../consume/flush-batch.ts';
import { describeRefusal, isConflict, isProgramError, isRefusal } from './database-error.ts';
import { FlushConflict } from './flush-conflict.ts';
import {
  consequenceOf,
  FlushAborted,
  TRIES_BEFORE_SEPARATING,
  type Consequence,
} from './flush-failure.ts';
import { flush, type FlushOptions, type FlushResult } from './flush.ts';
import { probeWrites } from './probe-writes.ts';
import { TooManyRefused } from './upsert-separately.ts';

const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 2_000;

/** Statements to find what is refused in a batch, some tenths of a second; a few keys need fewer. */
const TRIES_MAX = 400;
/** Of one of the parts in which a batch is flushed after that. */
const PART_INCREMENTS_MAX = 500;
/** To find what is refused in one part or one message; the role's transaction_timeout is 15 s. */
const SEPARATE_MS_MAX = 8_000;
/** Fewer tries than this get more time: a slow database must not make dead letters. */
const TRIES_MIN = 2_000;
const FEW_TRIES_MS_MAX = 12_000;

export interface RetryOptions {
  database: Kysely<Database>;
  /** Checks that the stream is still the same one, and returns its incarnation. */
  readIncarnation: () => Promise<number>;
  /** Called for each part of the batch that is committed. */
  onCommitted: (batch: FlushBatch, result: FlushResult) => void;
  /** Called with keys of which an increment was refused. */
  onRefused?: (keys: Iterable<string>) => void;
  /** Called with the error of an attempt that a second one did not mend, unless the batch is to blame. */
  onTrouble?: (error: unknown) => void;
  /** Called with a message that the database does not take in any form; without it the flush is aborted. */
  onLeft?: (batch: FlushBatch, error: unknown) => void;
  /** How long, in milliseconds, a failing batch is retried. */
  retryForMs: () => number;
  log: Log;
}

/** Made anew for each attempt. */
type Limit = () => NonNullable<FlushOptions['separate']>;

/**
 * Flushes a batch, and retries while the database is away. A commit whose outcome is unknown is safe to
 * retry: the next attempt finds all ids and adds nothing. What can't be counted does not affect the rest.
 *
 * @throws FlushAborted if the batch, or the rest of it, must go back to the broker.
 */
export function flushWithRetries(batch: FlushBatch, options: RetryOptions): Promise<void> {
  return flushPart(batch, options);
}

/**
 * @param first the number of the first attempt: a later one if something in the batch is refused for certain.
 * @param limit makes the limits with which what is refused is left out.
 */
async function flushPart(
  batch: FlushBatch,
  options: RetryOptions,
  { first = 0, limit }: { first?: number; limit?: Limit } = {},
): Promise<void> {
  const { database, log } = options;
  const startedAt = performance.now();
  for (let attempt = first; ; attempt++) {
    try {
      const incarnation = await options.readIncarnation();
      const { onRefused } = options;
      const result = await flush(database, batch, incarnation, {
        ...(limit && { separate: limit() }),
        ...(onRefused && { onRefused }),
      });
      options.onCommitted(batch, result);
      return;
    } catch (error) {
      if (error instanceof TooManyRefused) return flushInSmallParts(batch, options);
      const isTimeUp = performance.now() - startedAt > options.retryForMs();
      const consequence = consequenceOf(error, { attempt, isTimeUp });
      if (consequence === 'halve') return flushHalves(batch, options, error);
      if (consequence === 'separate') {
        const refusal = await findRefusal(database, batch, error);
        if (refusal === undefined) return flushSeparately(batch, options, { error, limit });
        options.onTrouble?.(refusal);
        if (isTimeUp) throw new FlushAborted('give-up', refusal);
      } else {
        if (isTroubleOfDatabase(error, { attempt, consequence })) options.onTrouble?.(error);
        if (consequence !== 'retry') throw new FlushAborted(consequence, error);
      }
      const failed = `a flush failed and is tried again: ${describeDatabaseError(error)}`;
      // What it is by then is said elsewhere, once.
      log[attempt === 0 ? 'warn' : 'debug']({ attempt }, failed);
      await delay(Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** attempt));
    }
  }
}

/** The next attempt mends much: a connection that broke, a conflict with another transaction. */
function isTroubleOfDatabase(
  error: unknown,
  { attempt, consequence }: { attempt: number; consequence: Consequence },
): boolean {
  if (consequence === 'give-up') return true;
  return consequence === 'retry' && attempt > 0 && !isRefusal(error) && !isConflict(error);
}

/** Undefined if the database takes something else, so that the batch is to blame. */
async function findRefusal(
  database: Kysely<Database>,
  batch: FlushBatch,
  error: unknown,
): Promise<unknown> {
  if (isProgramError(error)) return undefined;
  try {
    await probeWrites(database, keysOf(batch));
    return undefined;
  } catch (refusal) {
    return refusal;
  }
}

function* keysOf({ tally, messages }: FlushBatch): Generator<string> {
  yield* tally.keys();
  for (const { body } of messages.values()) {
    for (const { key } of body?.envelope?.increments ?? []) yield key;
  }
}

async function flushSeparately(
  batch: FlushBatch,
  options: RetryOptions,
  { error, limit }: { error: unknown; limit: Limit | undefined },
): Promise<void> {
  const { tallied, withBodies } = splitByTally(batch);
  if (tallied.messages.size > 0 && withBodies.messages.size > 0) {
    await flushPart(withBodies, options, { first: TRIES_BEFORE_SEPARATING });
    await flushPart(tallied, options, { first: TRIES_BEFORE_SEPARATING });
    return;
  }
  if (limit === undefined && isRefusal(error)) {
    const next = batch.messages.size > 1 ? limitTries : limitTime;
    return flushPart(batch, options, { first: TRIES_BEFORE_SEPARATING, limit: next });
  }
  // After the redelivery it has its bodies and can be taken apart.
  if (tallied.messages.size > 0) {
    throw new FlushAborted('redeliver', new FlushConflict('refused-in-tally', error));
  }
  if (batch.messages.size > 1) return flushHalves(batch, options, error);
  return refuseMessage(batch, options, error);
}

const limitTries: Limit = () => ({
  mayTry: (tries) => {
    if (tries >= TRIES_MAX) throw new TooManyRefused();
    return true;
  },
});

const limitTime: Limit = () => {
  const startedAt = performance.now();
  return {
    mayTry: (tries) =>
      performance.now() - startedAt < (tries < TRIES_MIN ? FEW_TRIES_MS_MAX : SEPARATE_MS_MAX),
  };
};

async function flushInSmallParts(batch: FlushBatch, options: RetryOptions): Promise<void> {
  for (const part of splitByIncrements(batch, PART_INCREMENTS_MAX)) {
    await flushPart(part, options, { first: TRIES_BEFORE_SEPARATING, limit: limitTime });
  }
}

async function flushHalves(
  batch: FlushBatch,
  options: RetryOptions,
  error: unknown,
): Promise<void> {
  const { tallied, withBodies } = splitByTally(batch);
  if (tallied.messages.size > 0) {
    if (withBodies.messages.size > 0) await flushPart(withBodies, options);
    throw new FlushAborted('redeliver', new FlushConflict('too-slow-in-tally', error));
  }
  if (batch.messages.size === 1) throw new FlushAborted('give-up', error);
  for (const half of bisect(batch)) {
    await flushPart(half, options, { first: TRIES_BEFORE_SEPARATING });
  }
}

async function refuseMessage(
  batch: FlushBatch,
  options: RetryOptions,
  error: unknown,
): Promise<void> {
  const [message] = batch.messages.values();
  if (message?.body === undefined || message.body.refusal !== undefined) {
    if (options.onLeft === undefined) throw new FlushAborted('give-up', error);
    options.onLeft(batch, error);
    return;
  }
  options.log.error({ err: error, sequence: message.sequence }, 'a message can’t be counted');
  message.body.refusal = isProgramError(error) ? 'not-countable' : 'refused-by-database';
  message.body.error = describeRefusal(error);
  await flushPart(batch, options, { first: TRIES_BEFORE_SEPARATING });
}
