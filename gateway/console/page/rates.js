// The figures beside the plots.

import { byId, show } from './element.js';
import { isSilent } from './history.js';
import { formatCount, formatDuration, formatRate } from './quantities.js';

/** @typedef {import('../../../schema/message/heartbeat.ts').MeshEvent} MeshEvent */

const STALENESS_MS_MAX = 10_000;
/** The bound's place in the gauge, so that what is beyond it shows. */
const BOUND_PERCENT = 80;

/** @param {import('./history.js').History} history @param {number} now */
export function showRates(history, now) {
  const latest = history.samples.at(-1);
  show('accepted-rate', formatRate(latest?.accepted));
  show('committed-rate', formatRate(latest?.committed));
  const errors = [...history.recentErrors(now)].toSorted(([left], [right]) =>
    left < right ? 1 : -1,
  );
  const counts = errors.map(([status, count]) => `${formatCount(count)} × ${status}`);
  const isOwn = errors.some(([status]) => status >= '500');
  byId('errors').className = errors.length === 0 ? '' : isOwn ? 'bad' : 'warning';
  const text = `answered ${counts.join(', ')} in the last minute`;
  show('errors', counts.length === 0 ? 'no errors in the last minute' : text);
}

/** @param {MeshEvent | undefined} event */
export function showStaleness(event) {
  const ageMs = event?.staleness_ms ?? undefined;
  show('staleness', ageMs === undefined ? 'unknown' : formatDuration(ageMs));
  const gauge = byId('gauge');
  gauge.classList.toggle('late', ageMs !== undefined && ageMs > STALENESS_MS_MAX);
  gauge.setAttribute('aria-valuenow', String(Math.min(10, (ageMs ?? 0) / 1_000)));
  gauge.setAttribute('aria-valuetext', ageMs === undefined ? 'unknown' : formatDuration(ageMs));
  const percent = Math.min(100, ((ageMs ?? 0) / STALENESS_MS_MAX) * BOUND_PERCENT);
  const fill = gauge.firstElementChild;
  if (fill instanceof HTMLElement) fill.style.inlineSize = `${percent}%`;
  const worst = (event?.instances ?? []).flatMap((each) =>
    each.name === 'counter' && !isSilent(each) ? [each.stats.worst_staleness_ms] : [],
  );
  show('worst-staleness', worst.length === 0 ? 'unknown' : formatDuration(Math.max(...worst)));
}
