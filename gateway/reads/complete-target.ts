import type { Completeness } from './select-counters.ts';
import { ProblemError } from '../errors/problem-details.ts';

/** What a client wants to be in the counters that it reads: all that was stored before, or up to, this. */
export type CompleteTarget = { timeMs: number } | { sequence: number };

/** Longer than a counter service needs in a healthy mesh, and shorter than proxies wait for an answer. */
const WAIT_S_MAX = 30;

const SEQUENCE = /^\d{1,15}$/;
/** RFC 3339; the digits behind milliseconds by themselves. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,3}(?<rest>\d*))?(?:Z|[+-]\d\d:\d\d)$/i;

/** Reads the parameter `at_least`: a time (RFC 3339) or a sequence. @throws ProblemError */
export function parseTarget(text: string): CompleteTarget {
  if (SEQUENCE.test(text)) return { sequence: Number(text) };
  const time = TIME.exec(text);
  const ms = Date.parse(text);
  if (time !== null && !Number.isNaN(ms)) {
    // Rounded up: less would be complete through an earlier time than was asked for.
    return { timeMs: /[1-9]/.test(time.groups?.['rest'] ?? '') ? ms + 1 : ms };
  }
  const detail =
    'must be a time such as 2026-11-23T08:47:44.642Z (a + in it written as %2B), or the sequence of an answer';
  throw new ProblemError('invalid-request', `Refused: at_least ${detail}.`, [
    { pointer: '/at_least', detail },
  ]);
}

/** How long a client waits by `Prefer: wait=10` (RFC 7240), at most 30 s; 0 without it. */
export function parseWaitSeconds(prefer: string | undefined): number {
  const wait = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=$|[,;])/i.exec(prefer ?? '');
  return Math.min(WAIT_S_MAX, Number(wait?.[1] ?? 0));
}

export function isReached(complete: Completeness, target: CompleteTarget): boolean {
  if ('sequence' in target) return (complete.sequence ?? -1) >= target.sequence;
  return (complete.through?.getTime() ?? -Infinity) >= target.timeMs;
}
