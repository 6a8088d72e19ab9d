// Totals that never go back.

/** @typedef {{ value: string, at: number }} Highest a decimal string, and when it was last reported */

/**
 * Reports are exact, but of different times: the largest is the latest. Where a smaller one is all that is
 * reported for this long, the count began again (a stream that was made again, cleared counters).
 */
const KEPT_MS = 60_000;

/**
 * @param {Highest | undefined} highest @param {(string | number | undefined)[]} reports those of now
 * @param {number} now
 * @returns {Highest | undefined} undefined until something was reported
 */
export function highestOf(highest, reports, now) {
  const known = reports.flatMap((report) => (report === undefined ? [] : BigInt(report)));
  if (known.length === 0) return highest;
  const largest = known.reduce((left, right) => (left > right ? left : right));
  const isKept =
    highest !== undefined && BigInt(highest.value) > largest && now - highest.at < KEPT_MS;
  return isKept ? highest : { value: String(largest), at: now };
}
