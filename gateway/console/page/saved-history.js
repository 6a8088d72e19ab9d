// The history as it is kept in the tab, for a reload of the page. What another version saved is left out.

/** @typedef {import('./history.js').Sample} Sample */
/** @typedef {import('./history.js').Flush} Flush */
/** @typedef {import('./highest.js').Highest} Highest */
/** @typedef {{ stored?: Highest | undefined, counted?: Highest | undefined }} Totals */
/** @typedef {import('./commit-rate.js').CommitRate} CommitRate */
/**
 * @typedef {object} Saved
 * @property {Sample[]} samples
 * @property {Map<string, Flush>} flushes
 * @property {Map<string, CommitRate>} commits
 * @property {Totals} highest
 */

/** One a second for five minutes, and what counter services report of flushes. */
const SAMPLES_MAX = 600;
const FLUSHES_MAX = 2_000;
const COMMITS_MAX = 256;

/** @param {Saved} history @returns {string} */
export function writeSaved({ samples, flushes, commits, highest }) {
  return JSON.stringify({
    samples: samples
      .slice(-SAMPLES_MAX)
      .map((sample) => ({ ...sample, at: Math.round(sample.at) })),
    flushes: [...flushes].slice(-FLUSHES_MAX),
    commits: [...commits].slice(-COMMITS_MAX),
    highest,
  });
}

/**
 * @param {string | null} text @param {number} from what is older is left out @param {number} to
 * @returns {Saved}
 */
export function readSaved(text, from, to) {
  const { samples, flushes, commits, highest } = parse(text);
  /** @param {any} each */
  const isRecent = (each) => isNumber(each?.at) && each.at >= from && each.at <= to;
  return {
    samples: listOf(samples)
      .filter((each) => isRecent(each) && isErrors(each.errors))
      .map(({ at, accepted, committed, errors }) => ({
        at,
        accepted: isNumber(accepted) ? accepted : undefined,
        committed: isNumber(committed) ? committed : undefined,
        errors,
      }))
      .slice(-SAMPLES_MAX),
    flushes: mapOf(flushes, FLUSHES_MAX, (each) => isRecent(each) && isFlush(each)),
    commits: mapOf(commits, COMMITS_MAX, isCommitRate),
    highest: { stored: highestIn(highest?.stored), counted: highestIn(highest?.counted) },
  };
}

/** @param {string | null} text @returns {Record<string, any>} */
function parse(text) {
  try {
    const found = JSON.parse(text ?? '{}');
    return typeof found === 'object' && found !== null ? found : {};
  } catch {
    return {};
  }
}

/** @param {unknown} found @returns {any[]} */
function listOf(found) {
  return Array.isArray(found) ? found : [];
}

/** @param {unknown} found @param {number} max @param {(value: any) => boolean} isOne @returns {Map<string, any>} */
function mapOf(found, max, isOne) {
  const entries = listOf(found).filter(
    (each) => Array.isArray(each) && typeof each[0] === 'string' && isOne(each[1]),
  );
  return new Map(entries.slice(-max));
}

/** @param {any} found */
function isFlush(found) {
  const { durationMs, stalenessMs, rows } = found;
  return isNumber(durationMs) && isNumber(rows) && (stalenessMs === null || isNumber(stalenessMs));
}

/** @param {any} found */
function isCommitRate(found) {
  const { grown, intervalMs } = found ?? {};
  const isGrown = listOf(grown).every((each) => isNumber(each?.at) && isNumber(each?.committed));
  return Array.isArray(grown) && isGrown && isNumber(intervalMs);
}

/** @param {any} found @returns {Highest | undefined} */
function highestIn(found) {
  const isOne = typeof found?.value === 'string' && /^\d{1,40}$/.test(found.value);
  return isOne && isNumber(found.at) ? { value: found.value, at: found.at } : undefined;
}

/** @param {unknown} found */
function isErrors(found) {
  return typeof found === 'object' && found !== null && Object.values(found).every(isNumber);
}

/** @param {unknown} found @returns {found is number} */
function isNumber(found) {
  return typeof found === 'number' && Number.isFinite(found);
}
