// How many increments a counter service commits in a second.
//
// Its count stands still between two flushes, up to nine seconds, so its growth is spread over the time
// since an earlier flush. That is known once it has grown.

/** An average of so long at least, that of other rates. */
const AVERAGE_MS = 5_000;
/** No flush is awaited longer than that. */
const INTERVAL_MS_MAX = 10_000;
/** A rate holds until the next flush is due, and somewhat longer. */
const HOLD_FACTOR = 1.3;
const HOLD_MS_MIN = 2_500;
/** One short interval among long ones is soon forgotten. */
const SHORTENING_FACTOR = 0.9;

/**
 * @typedef {object} CommitRate
 * @property {{ at: number, committed: number }[]} grown when its count was seen to grow, at last and so far back
 * as the average needs; at first its last flush before it was watched
 * @property {number} intervalMs how long the next flush may take to come
 * @property {number | undefined} perSecond undefined until it is known
 */

/**
 * @param {CommitRate | undefined} last
 * @param {{ committed: number, flushedAt: number }} seen of the first sight its last flush, or its start
 * @param {number} now
 * @returns {CommitRate}
 */
export function followCommits(last, { committed, flushedAt }, now) {
  const latest = last?.grown.at(-1);
  if (last === undefined || latest === undefined) {
    const isIdle = committed === 0 || now - flushedAt > INTERVAL_MS_MAX;
    const grown = [{ at: flushedAt, committed }];
    return { grown, intervalMs: INTERVAL_MS_MAX, perSecond: isIdle ? 0 : undefined };
  }
  const sinceMs = now - latest.at;
  if (committed <= latest.committed) {
    const isOver = sinceMs > Math.max(HOLD_MS_MIN, last.intervalMs * HOLD_FACTOR);
    return isOver ? { ...last, perSecond: 0 } : last;
  }
  const from = last.grown.findLastIndex(({ at }) => at <= now - AVERAGE_MS);
  const kept = last.grown.slice(Math.max(0, from));
  const base = kept[0] ?? latest;
  const averagedMs = Math.min(INTERVAL_MS_MAX, Math.max(1_000, now - base.at));
  return {
    grown: [...kept, { at: now, committed }],
    intervalMs: Math.min(INTERVAL_MS_MAX, Math.max(sinceMs, last.intervalMs * SHORTENING_FACTOR)),
    perSecond: ((committed - base.committed) * 1_000) / averagedMs,
  };
}
