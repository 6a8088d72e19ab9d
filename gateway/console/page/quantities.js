// Numbers and times as people read them.

const THIN_SPACE = '\u202f';

/** Whole numbers, in groups of three: 12 345. @param {number | bigint | string} count */
export function formatCount(count) {
  return String(count).replace(/\B(?=(\d{3})+$)/g, THIN_SPACE);
}

/** @param {number | undefined} perSecond */
export function formatRate(perSecond) {
  if (perSecond === undefined) return '–';
  if (perSecond === 0 || perSecond >= 10) return formatCount(Math.round(perSecond));
  return perSecond.toFixed(1);
}

/** @param {number} ms */
export function formatDuration(ms) {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min`;
  if (ms < 86_400_000) return `${Math.floor(ms / 3_600_000)} h`;
  return `${Math.floor(ms / 86_400_000)} d`;
}

/** In whole seconds, for times that count up on the page. @param {number} ms */
export function formatSeconds(ms) {
  return ms < 60_000 ? `${Math.floor(ms / 1_000)} s` : formatDuration(ms);
}

/** The time of day, on the clock of whoever looks: 13:04:59. @param {number} at milliseconds, as Date.now() has them */
export function formatTime(at) {
  const date = new Date(at);
  const parts = [date.getHours(), date.getMinutes(), date.getSeconds()];
  return parts.map((part) => String(part).padStart(2, '0')).join(':');
}

/** @param {number} count @param {string} noun */
export function plural(count, noun) {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}
