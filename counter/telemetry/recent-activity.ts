import { performance } from 'node:perf_hooks';
import {
  GROWING_KEYS_MAX,
  LATEST_DEAD_LETTERS_MAX,
  LATEST_FLUSHES_MAX,
  type CounterActivity,
} from '../../schema/message/heartbeat.ts';
import { addExact, type Exact } from '../../schema/int64.ts';
import type { FlushResult } from '../flush/flush.ts';
import type { FlushSummary } from '../flush/flush-summary.ts';
import type { StreamState } from '../settle/stream-state.ts';

const MINUTE_MS = 60_000;
/** A counter flushes at most four times a second. */
const GROWTHS_MAX = 240;

/**
 * Keeps what happened lately, for the console. The keys that grew most are taken from the largest of
 * each flush, so one that grows a little in every flush may be missed.
 */
export function createRecentActivity() {
  let stream: (StreamState & { at: number; ageMs: number }) | undefined;
  let flushed = 0;
  const flushes: { at: number; told: Omit<ReportedFlush, 'age_ms'> }[] = [];
  const reasons: Record<string, number> = {};
  const letters: (FlushSummary['letters'][number] & { at: number })[] = [];
  const growths: { at: number; growing: FlushSummary['growing'] }[] = [];

  return {
    streamSeen: (seen: StreamState): void => {
      const ageMs = seen.messages === 0 ? 0 : Math.max(0, Date.now() - seen.unsettledSinceMs);
      stream = { ...seen, at: performance.now(), ageMs };
    },
    flushed: (
      { keys, reasons: found, activity }: FlushResult,
      times: { durationMs: number; stalenessMs: number },
    ): void => {
      const at = performance.now();
      const { durationMs, stalenessMs } = times;
      const told = {
        number: ++flushed,
        duration_ms: Math.round(durationMs),
        // Infinite where the flush added nothing.
        staleness_ms: Number.isFinite(stalenessMs) ? Math.round(stalenessMs) : null,
        rows: keys,
      };
      keep(flushes, { at, told }, LATEST_FLUSHES_MAX);
      for (const [reason, count] of Object.entries(found)) {
        reasons[reason] = (reasons[reason] ?? 0) + count;
      }
      for (const letter of activity.letters)
        keep(letters, { ...letter, at }, LATEST_DEAD_LETTERS_MAX);
      keep(growths, { at, growing: activity.growing }, GROWTHS_MAX);
    },
    read: (): Omit<CounterActivity, 'database_connected'> => {
      const now = performance.now();
      const age = (at: number) => Math.round(now - at);
      return {
        ...(stream !== undefined && {
          stream: {
            messages: stream.messages,
            oldest_age_ms: stream.messages === 0 ? 0 : stream.ageMs + age(stream.at),
          },
        }),
        flushes: flushes.map(({ at, told }) => ({ ...told, age_ms: age(at) })),
        dead_letters: { ...reasons },
        latest_dead_letters: letters.map(({ at, ...letter }) => ({ ...letter, age_ms: age(at) })),
        growing_keys: growingOf(growths.filter(({ at }) => now - at < MINUTE_MS)),
      };
    },
  };
}

type ReportedFlush = CounterActivity['flushes'][number];

function keep<Item>(list: Item[], item: Item, max: number): void {
  list.push(item);
  if (list.length > max) list.shift();
}

function growingOf(
  growths: { growing: FlushSummary['growing'] }[],
): CounterActivity['growing_keys'] {
  const sums = new Map<string, Exact>();
  for (const { growing } of growths) {
    for (const { key, added } of growing) sums.set(key, addExact(sums.get(key) ?? 0, added));
  }
  return [...sums]
    .toSorted(([, left], [, right]) => (left < right ? 1 : -1))
    .slice(0, GROWING_KEYS_MAX)
    .map(([key, added]) => ({ key, added: String(added) }));
}
