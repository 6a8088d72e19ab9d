import type { Kysely } from 'kysely';
import { Value } from 'typebox/value';
import type { Database } from '../../schema/database/tables.ts';
import { describeDatabaseError } from '../../schema/database/describe-database-error.ts';
import { ClearRequest, type ClearAnswer } from '../../schema/message/clear-request.ts';
import type { Log } from '../../telemetry/log.ts';
import { throttleWarnings } from '../../telemetry/throttled-warning.ts';
import { isRefusal } from '../flush/database-error.ts';
import type { StoreHealth } from '../settle/store-health.ts';
import { clearCounter } from './clear-counter.ts';

/** In any second, so that a stolen password of a gateway does not clear all counters at once. */
export const CLEARS_PER_S_MAX = 10;
/** How long one waits for a flush; less than a gateway waits for the answer. */
const LOCK_MS_MAX = 2_000;
const LOCK_NOT_AVAILABLE = '55P03';

export interface Clears {
  /** @param text a ClearRequest as JSON. @returns a ClearAnswer as JSON; never rejects. */
  answer: (text: string) => Promise<string>;
  /** Resolves when none is under way. */
  drain: () => Promise<unknown>;
}

/** Clears counters for gateways: one at a time, since the flushes need the other connections. */
export function createClears(options: {
  database: Kysely<Database>;
  stores: Pick<StoreHealth, 'brokerTimeMs' | 'isDatabaseAway'>;
  log: Log;
}): Clears {
  const { database, stores, log } = options;
  const warn = throttleWarnings(log);
  const mayBegin = limitPerSecond(CLEARS_PER_S_MAX);
  let last: Promise<unknown> = Promise.resolve();
  let pending = 0;

  async function answer(text: string): Promise<string> {
    const outcome = (of: Exclude<ClearAnswer['outcome'], 'cleared'>) =>
      JSON.stringify({ outcome: of } satisfies ClearAnswer);
    const request = parseRequest(text);
    if (request === undefined) {
      warn('a request to clear a counter was refused: it is not one of this version');
      return outcome('refused');
    }
    if (pending >= CLEARS_PER_S_MAX || !mayBegin(performance.now())) return outcome('too-many');
    pending++;
    const cleared = last.then(() => clear(request));
    last = cleared.finally(() => pending--);
    return JSON.stringify(await cleared);
  }

  /** Never rejects. */
  async function clear(request: ClearRequest): Promise<ClearAnswer> {
    const leftMs = request.deadline_ms - stores.brokerTimeMs();
    // Its client was told that the outcome is unknown, and should not be surprised later on.
    if (leftMs <= 0) return { outcome: 'late' };
    if (stores.isDatabaseAway) return { outcome: 'database-away' };
    try {
      const lockMs = Math.ceil(Math.min(leftMs, LOCK_MS_MAX));
      const cleared = await clearCounter(database, request, lockMs);
      if (cleared === undefined) return { outcome: 'not-counted' };
      const { value, clearedAt } = cleared;
      return { outcome: 'cleared', value, cleared_at: clearedAt.toISOString() };
    } catch (error) {
      if ((error as { code?: string }).code === LOCK_NOT_AVAILABLE) return { outcome: 'locked' };
      warn(`a counter could not be cleared: ${describeDatabaseError(error)}`);
      return { outcome: isRefusal(error) ? 'refused' : 'unknown' };
    }
  }

  return { answer, drain: () => last };
}

/** @returns whether one more may begin at a time in milliseconds; it then counts. */
export function limitPerSecond(max: number): (nowMs: number) => boolean {
  const begun: number[] = [];
  return (nowMs) => {
    const [oldest = -Infinity] = begun;
    if (begun.length >= max && nowMs - oldest < 1_000) return false;
    if (begun.push(nowMs) > max) begun.shift();
    return true;
  };
}

/** Whoever has a gateway's password may send anything. */
function parseRequest(text: string): ClearRequest | undefined {
  try {
    const request: unknown = JSON.parse(text);
    return Value.Check(ClearRequest, request) ? request : undefined;
  } catch {
    return undefined;
  }
}
