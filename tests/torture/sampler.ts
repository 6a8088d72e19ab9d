import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { Database } from '../../schema/database/tables.ts';
import { isInLoss, type Loss } from './losses.ts';

const SAMPLE_MS = 200;

/** Follows accepted messages until the ledger has them. */
export interface Sampler {
  accepted: (sequence: number) => void;
  /** Messages that are accepted and not yet seen in the ledger. */
  readonly waiting: number;
  /** The longest that one waited, in milliseconds, and when, in those of performance.now(). */
  readonly worst: { stalenessMs: number; seenAt: number };
  /** Resolves when whatever was accepted before this call, and something after it, is counted. */
  whenRecovered: () => Promise<void>;
  stop: () => Promise<void>;
}

/**
 * Measures from outside: from the answer that the client got to the committed row, as any other
 * connection sees it.
 *
 * @param losses messages that nobody waits for any more.
 */
export function startSampler(database: Kysely<Database>, losses: Loss[] = []): Sampler {
  const waiting = new Map<number, number>();
  const watches = new Set<{ since: number; sawLater: boolean; resolve: () => void }>();
  const worst = { stalenessMs: 0, seenAt: 0 };
  let isStopping = false;
  const sampling = sample();

  async function sample(): Promise<void> {
    while (!isStopping) {
      await delay(SAMPLE_MS);
      // PostgreSQL is away half of the time here, which the waiting itself shows.
      const settled = await findSettled(database, [...waiting.keys()]).catch(() => []);
      settled.forEach(seen);
      for (const sequence of waiting.keys()) {
        if (isInLoss(losses, sequence)) waiting.delete(sequence);
      }
      for (const watch of watches) if (isOver(watch)) watch.resolve();
    }
  }

  function seen(sequence: number): void {
    const acceptedAt = waiting.get(sequence);
    waiting.delete(sequence);
    if (acceptedAt === undefined) return;
    const seenAt = performance.now();
    const stalenessMs = seenAt - acceptedAt;
    if (stalenessMs > worst.stalenessMs) Object.assign(worst, { stalenessMs, seenAt });
    for (const watch of watches) if (acceptedAt > watch.since) watch.sawLater = true;
  }

  function isOver(watch: { since: number; sawLater: boolean }): boolean {
    // Messages are kept in the order in which they were accepted.
    const [oldest] = waiting.values();
    return isStopping || (watch.sawLater && (oldest ?? Infinity) > watch.since);
  }

  return {
    accepted: (sequence) => {
      // A repeat is answered with the place of the first.
      if (!waiting.has(sequence)) waiting.set(sequence, performance.now());
    },
    get waiting() {
      return waiting.size;
    },
    worst,
    whenRecovered: () =>
      new Promise((resolve) => {
        const watch = { since: performance.now(), sawLater: false, resolve: done };
        function done() {
          watches.delete(watch);
          resolve();
        }
        watches.add(watch);
      }),
    stop: async () => {
      isStopping = true;
      await sampling;
    },
  };
}

async function findSettled(database: Kysely<Database>, sequences: number[]): Promise<number[]> {
  if (sequences.length === 0) return [];
  const rows = await database
    .selectFrom('ledger')
    .select('sequence')
    .where('sequence', '=', sql<string>`any(${`{${sequences.join(',')}}`}::bigint[])`)
    .execute();
  return rows.map(({ sequence }) => Number(sequence));
}
