import { performance } from 'node:perf_hooks';

/** More are unlikely; beyond that the oldest is forgotten, which costs a redelivery when it comes again. */
const KEYS_MAX = 10_000;
const KEPT_MS = 10 * 60_000;

/**
 * Keys of which the database has refused an increment. Messages with one of them keep their bodies, so that
 * the next refused one does not take a tally apart.
 */
export interface Suspects {
  has: (key: string) => boolean;
  add: (keys: Iterable<string>) => void;
}

export function createSuspects(now = () => performance.now()): Suspects {
  const until = new Map<string, number>();
  return {
    has: (key) => until.size > 0 && (until.get(key) ?? 0) > now(),
    add: (keys) => {
      for (const key of keys) {
        // At the end of the map again.
        until.delete(key);
        until.set(key, now() + KEPT_MS);
      }
      for (const key of until.keys()) {
        if (until.size <= KEYS_MAX && until.get(key)! > now()) break;
        until.delete(key);
      }
    },
  };
}
