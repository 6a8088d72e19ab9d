// How many increments a counter service commits in a second.
//
// Its count stands still between two flushes, up to nine seconds, so its growth is spread over the time
// since the flush before. That is known once it has grown.

/** No flush is awaited longer than that. */
const INTERVAL_MS_MAX = 10_000;
/** A rate holds until the next flush is due, and somewhat longer. */
const HOLD_FACTOR = 1.3;
const HOLD_MS_MIN = 2_500;

/**
 * @typedef {object} CommitRate
 * @property {number} committed its count
 * @property {number} grownAt when that was seen to grow, or its last flush before it was watched
 * @property {number} intervalMs between that and the flush before
 * @property {number | undefined} perSecond undefined until it is known
 */

/**
 * @param {CommitRate | undefined} last
 * @param {{ committed: number, flushedAt: number }} seen of the first sight its last flush, or its start
 * @param {number} now
 * @returns {CommitRate}
 */
export function followCommits(last, { committed, flushedAt }, now) {
  if (last === undefined) {
    const isIdle = committed === 0 || now - flushedAt > INTERVAL_MS_MAX;
    const perSecond = isIdle ? 0 : undefined;
    return { committed, grownAt: flushedAt, intervalMs: INTERVAL_MS_MAX, perSecond };
  }
  const added = committed - last.committed;
  if (added > 0) {
    const intervalMs = Math.min(INTERVAL_MS_MAX, Math.max(1_000, now - last.grownAt));
    return { committed, grownAt: now, intervalMs, perSecond: (added * 1_000) / intervalMs };
  }
  const isOver = now - last.grownAt > Math.max(HOLD_MS_MIN, last.intervalMs * HOLD_FACTOR);
  return isOver ? { ...last, perSecond: 0 } : last;
}
