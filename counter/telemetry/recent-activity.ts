import { performance } from 'node:perf_hooks';
import { addExact, type Exact } from '../../schema/int64.ts';
import {
  GROWING_KEYS_MAX,
  LATEST_DEAD_LETTERS_MAX,
  LATEST_FLUSHES_MAX,
  type CounterActivity,
} from '../../schema/message/heartbeat.ts';
import type { FlushSummary } from '../flush/flush-summary.ts';
import type { FlushResult } from '../flush/flush.ts';
import type { DeadLettersWaiting } from '../maintenance/read-dead-letters.ts';
import type { FlushTimes } from '../flush/flush-times.ts';

const MINUTE_MS = 60_000;
/** A minute of flushes, of which there are at most four a second. */
const GROWTHS_MAX = 240;

/** What happened lately, for a console that may be opened afterwards. */
export interface RecentActivity {
  flushed: (result: FlushResult, times: FlushTimes) => void;
  streamSeen: (stream: StreamStats) => void;
  deadLettersSeen: (waiting: DeadLettersWaiting | undefined) => void;
  read: () => Pick<
    CounterActivity,
    'stream' | 'flushes' | 'dead_letters_waiting' | 'latest_dead_letters' | 'growing_keys'
  >;
}

/** The stream as it was read last. */
export interface StreamStats extends StreamSize {
  messages: number;
  /** Of the oldest message; 0 if there is none. */
  ageMs: number;
  lastSequence: number;
}

export interface StreamSize {
  bytes: number;
  /** 0 for no limit. */
  bytesMax: number;
}

type ReportedFlush = Omit<CounterActivity['flushes'][number], 'age_ms'>;
type LatestDeadLetter = FlushSummary['deadLetters'][number];

/**
 * The keys that grew most are found among the largest of each flush, so one that grows a little in every
 * flush may be missed.
 */
export function createRecentActivity(): RecentActivity {
  let stream: (StreamStats & { at: number }) | undefined;
  let waiting: (DeadLettersWaiting & { at: number }) | undefined;
  let flushed = 0;
  const flushes: { at: number; flush: ReportedFlush }[] = [];
  const deadLetters: { at: number; deadLetter: LatestDeadLetter }[] = [];
  const growths: { at: number; growing: FlushSummary['growing'] }[] = [];

  return {
    streamSeen: (seen) => {
      stream = { ...seen, at: performance.now() };
    },
    deadLettersSeen: (seen) => {
      waiting = seen && { ...seen, at: performance.now() };
    },
    flushed: ({ keys, summary }, { durationMs, stalenessMs }) => {
      const at = performance.now();
      const flush = {
        number: ++flushed,
        duration_ms: Math.round(durationMs),
        staleness_ms: Number.isFinite(stalenessMs) ? Math.round(stalenessMs) : null,
        rows: keys,
      };
      keep(flushes, { at, flush }, LATEST_FLUSHES_MAX);
      for (const deadLetter of summary.deadLetters) {
        keep(deadLetters, { at, deadLetter }, LATEST_DEAD_LETTERS_MAX);
      }
      keep(growths, { at, growing: summary.growing }, GROWTHS_MAX);
    },
    read: () => {
      const now = performance.now();
      const age = (at: number) => Math.round(now - at);
      return {
        ...(stream !== undefined && {
          stream: {
            messages: stream.messages,
            oldest_age_ms: stream.messages === 0 ? 0 : stream.ageMs + age(stream.at),
            bytes: stream.bytes,
            bytes_max: stream.bytesMax,
            last_sequence: stream.lastSequence,
          },
        }),
        ...(waiting !== undefined && {
          dead_letters_waiting: describeWaiting(waiting, age(waiting.at)),
        }),
        flushes: flushes.map(({ at, flush }) => ({ ...flush, age_ms: age(at) })),
        latest_dead_letters: deadLetters.map(({ at, deadLetter }) => ({
          ...deadLetter,
          age_ms: age(at),
        })),
        growing_keys: growingOf(growths.filter(({ at }) => now - at < MINUTE_MS)),
      };
    },
  };
}

function describeWaiting(
  { messages, latest }: DeadLettersWaiting,
  sinceMs: number,
): NonNullable<CounterActivity['dead_letters_waiting']> {
  return {
    messages,
    latest: latest.map(({ sequence, reason, subject, payload, ageMs }) => ({
      number: sequence,
      reason,
      subject,
      payload,
      age_ms: ageMs + sinceMs,
    })),
  };
}

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
