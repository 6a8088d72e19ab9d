import { IncrementMeshError } from './error.ts';

/** Promises of which each waits for a condition. */
export interface Waiters {
  /** Rejects with `aborted` when the signal aborts before the condition is met. */
  wait: (isMet: () => boolean, signal?: AbortSignal) => Promise<void>;
  /** Looks at each condition; to be called after every change that may meet one. */
  check: () => void;
  rejectAll: (error: IncrementMeshError) => void;
}

interface Waiter {
  isMet: () => boolean;
  resolve: () => void;
  reject: (error: IncrementMeshError) => void;
}

export function createWaiters(): Waiters {
  const waiters = new Set<Waiter>();

  return {
    wait: (isMet, signal) =>
      new Promise((resolve, reject) => {
        if (isMet()) return resolve();
        const abort = () => waiter.reject(abortedWait(signal?.reason));
        const leave = () => {
          waiters.delete(waiter);
          signal?.removeEventListener('abort', abort);
        };
        const waiter: Waiter = {
          isMet,
          resolve: () => {
            leave();
            resolve();
          },
          reject: (error) => {
            leave();
            reject(error);
          },
        };
        waiters.add(waiter);
        if (signal?.aborted === true) return abort();
        signal?.addEventListener('abort', abort);
      }),
    check: () => {
      for (const waiter of waiters) if (waiter.isMet()) waiter.resolve();
    },
    rejectAll: (error) => {
      for (const waiter of waiters) waiter.reject(error);
    },
  };
}

function abortedWait(reason: unknown): IncrementMeshError {
  const why = reason instanceof Error ? reason.message : String(reason);
  return new IncrementMeshError('aborted', `the caller ended the waiting: ${why}`, {
    retryable: true,
    mayBeStored: true,
    cause: reason,
  });
}
