import { setTimeout as delay } from 'node:timers/promises';
import { performance } from 'node:perf_hooks';
import type { Kysely } from 'kysely';
import type { Database } from '../../schema/database/database.ts';
import { describeDatabaseError } from '../../schema/database/describe-database-error.ts';
import type { Log } from '../../telemetry/log.ts';
import { isDataError, isFaultOfOurs } from './database-error.ts';
import { flush, type FlushResult } from './flush.ts';
import { halve, separate, type Load } from '../consume/flush-batch.ts';
import { StoresDisagree } from '../settle/settled-floor.ts';
import { TallyConflict } from '../consume/tally.ts';

const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 2_000;

export interface FlushLoadOptions {
  database: Kysely<Database>;
  /** Checks that the stream is still the same one, and returns its incarnation. */
  readIncarnation: () => Promise<number>;
  /** Told of each part of the load that is committed. */
  onCommitted: (load: Load, result: FlushResult) => void;
  /** How long, in milliseconds, a failing load is tried. */
  triesMs: () => number;
  log: Log;
}

/**
 * Flushes a load, again and again while the database is away. An ambiguous commit needs no care: a
 * second try finds all ids there and adds nothing.
 *
 * @throws TallyConflict, StoresDisagree, or the database's last error when the time is used up.
 */
export async function flushLoad(load: Load, options: FlushLoadOptions): Promise<void> {
  const { database, log } = options;
  const startedAt = performance.now();
  for (let attempt = 0; ; attempt++) {
    let result: FlushResult;
    try {
      result = await flush(database, load, await options.readIncarnation());
    } catch (error) {
      if (error instanceof TallyConflict || error instanceof StoresDisagree) throw error;
      // Of our own faults some pass; a database that breaks off shows itself in odd ways.
      if (isDataError(error) || (isFaultOfOurs(error) && attempt > 0)) {
        await isolate(load, options, error);
        return;
      }
      if (performance.now() - startedAt > options.triesMs()) throw error;
      log.warn({ attempt }, `a flush failed and is tried again: ${describeDatabaseError(error)}`);
      await delay(Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** attempt));
      continue;
    }
    options.onCommitted(load, result);
    return;
  }
}

/** What the database or our own code stumbles over costs its own message only: the load is halved down to it. */
async function isolate(load: Load, options: FlushLoadOptions, error: unknown): Promise<void> {
  const { tallied, kept } = separate(load);
  if (tallied.messages.size > 0) {
    // What is in the tally comes again with its bodies, and then beside others that are in a tally.
    if (kept.messages.size === 0)
      throw new TallyConflict('a message can’t be counted', { cause: error });
    await flushLoad(kept, options);
    await flushLoad(tallied, options);
    return;
  }
  const [message] = load.messages.values();
  if (load.messages.size > 1) {
    for (const half of halve(load)) await flushLoad(half, options);
    return;
  }
  if (message?.body === undefined || message.body.refusal !== undefined) throw error;
  options.log.error({ err: error, sequence: message.sequence }, 'a message can’t be counted');
  message.body.refusal = isDataError(error) ? 'refused-by-database' : 'not-countable';
  await flushLoad(load, options);
}
