import { ProblemError, stopping } from '../errors/problem-details.ts';
import { isReached, type CompleteTarget } from './complete-target.ts';
import type { Completeness } from './select-counters.ts';

/** Requests that wait for counters to be complete: half of those that may read, since they read at once. */
const WAITS_MAX = 500;
/** One look for all that wait. */
const LOOK_MS = 1_000;

export interface CompleteWaits {
  /**
   * Resolves when the target is reached, or with false after the time, or when the client is gone.
   *
   * @throws ProblemError if too many wait, the gateway stops or the database is away.
   */
  until: (
    target: CompleteTarget,
    options: { timeoutMs: number; signal: AbortSignal },
  ) => Promise<boolean>;
  /** Ends all waits. */
  stop: () => void;
}

interface Wait {
  target: CompleteTarget;
  end: (result: boolean | ProblemError) => void;
}

/** @param look reads how complete the counters are, once a second while somebody waits. */
export function createCompleteWaits(look: () => Promise<Completeness>): CompleteWaits {
  const waits = new Set<Wait>();
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;

  function lookLater(): void {
    timer ??= setTimeout(() => void lookForAll(), LOOK_MS);
  }

  async function lookForAll(): Promise<void> {
    try {
      const complete = await look();
      endWhere(({ target }) => isReached(complete, target), true);
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      endWhere(() => true, error);
    }
    timer = undefined;
    if (waits.size > 0) lookLater();
  }

  function endWhere(applies: (wait: Wait) => boolean, result: boolean | ProblemError): void {
    for (const wait of Array.from(waits)) {
      if (applies(wait)) wait.end(result);
    }
  }

  async function until(
    target: CompleteTarget,
    { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
  ): Promise<boolean> {
    if (isStopped) throw stopping();
    if (signal.aborted) return false;
    if (waits.size >= WAITS_MAX) {
      const detail = `${WAITS_MAX} reads already wait to be complete; retry later.`;
      throw new ProblemError('too-many-waiting', detail);
    }
    const result = Promise.withResolvers<boolean>();
    const wait: Wait = {
      target,
      end: (found) => {
        waits.delete(wait);
        if (found instanceof ProblemError) result.reject(found);
        else result.resolve(found);
      },
    };
    const giveUp = () => wait.end(false);
    const deadline = setTimeout(giveUp, timeoutMs);
    signal.addEventListener('abort', giveUp, { once: true });
    waits.add(wait);
    lookLater();
    try {
      return await result.promise;
    } finally {
      clearTimeout(deadline);
      signal.removeEventListener('abort', giveUp);
    }
  }

  return {
    until,
    stop: () => {
      isStopped = true;
      endWhere(() => true, stopping());
    },
  };
}
