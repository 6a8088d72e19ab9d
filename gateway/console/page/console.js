// The console: follows the mesh and shows it. Everything on the page was received from the gateway that
// served it; the header shows when.

import { byId, show } from './element.js';
import { followMesh } from './events.js';
import { createHistory, oldestAge } from './history.js';
import { namer, showHops } from './hops.js';
import { plotFlushes, plotStaleness } from './plot.js';
import { formatDuration, formatSeconds } from './quantities.js';
import { showTables } from './tables.js';
import { followIncrements } from './follow-increment.js';
import { judge } from './verdict.js';

/** @typedef {import('../../../schema/message/heartbeat.ts').MeshEvent} MeshEvent */

const KEY = 'increment-mesh-api-key';
const OLD_MS = 3_000;

const history = createHistory();
/** @type {{ event: MeshEvent, at: number } | undefined} */
let last;
/** The HTTP status of a refused request for events. */
let refusal = 0;
/** Since when the page is visible; a hidden one receives nothing. */
let visibleSince = 0;

const authorization = () => {
  const key = sessionStorage.getItem(KEY);
  return key === null ? {} : { authorization: `Bearer ${key}` };
};

/** @param {MeshEvent} event */
function onEvent(event) {
  const now = performance.now();
  last = { event, at: now };
  refusal = 0;
  history.record(event, now);
  showHops(event, history, now);
  showTables(event);
  const newest = history.flushes.toSorted((left, right) => right.at - left.at)[0];
  show('last-flush', newest === undefined ? '–' : formatDuration(newest.durationMs));
  render();
}

/** Shows what also changes while no event arrives. */
function render() {
  if (document.hidden) return;
  const now = performance.now();
  const silentMs = now - (last?.at ?? 0);
  const isOld = last === undefined || silentMs > OLD_MS;
  document.body.classList.toggle('old', isOld);
  byId('key-form').hidden = refusal !== 401 && refusal !== 403;
  const ageMs = last === undefined || isOld ? undefined : oldestAge(last.event);
  show('staleness', ageMs === undefined ? '–' : formatDuration(ageMs));
  const { level, text } = verdict(isOld, silentMs, ageMs);
  byId('verdict').dataset['level'] = level;
  show('verdict', text);
  show('source', describeSource(silentMs, isOld));
  plotStaleness(byId('staleness-plot'), history, now);
  plotFlushes(byId('flush-plot'), history, now);
}

/** The gateway that reported this, and when. @param {number} silentMs @param {boolean} isOld */
function describeSource(silentMs, isOld) {
  const instances = last?.event.instances ?? [];
  const reporter = instances.find(({ id }) => id === last?.event.reported_by);
  if (reporter === undefined) return isOld ? `Nothing received for ${formatSeconds(silentMs)}` : '';
  const when = silentMs < 1_500 ? 'just now' : `${formatSeconds(silentMs)} ago`;
  return `Reported by gateway ${namer(instances)(reporter)}, version ${reporter.version}, ${when}`;
}

/**
 * @param {boolean} isOld @param {number} silentMs @param {number | undefined} ageMs
 * @returns {import('./verdict.js').Verdict}
 */
function verdict(isOld, silentMs, ageMs) {
  if (last !== undefined && !isOld) return judge(last.event, ageMs);
  if (refusal === 401) {
    const isWrong = sessionStorage.getItem(KEY) !== null;
    const text = isWrong ? 'This API key is not valid here.' : 'This mesh requires an API key.';
    return { level: 'unknown', text };
  }
  if (refusal === 403) return { level: 'unknown', text: 'This API key may not read.' };
  if (refusal === 503) return { level: 'unknown', text: 'Too many consoles are open; waiting …' };
  if (performance.now() - visibleSince < OLD_MS) return { level: 'unknown', text: 'Connecting …' };
  return { level: 'bad', text: 'No data: the gateway does not answer.' };
}

byId('key-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const field = /** @type {HTMLInputElement} */ (byId('key'));
  sessionStorage.setItem(KEY, field.value.trim());
  field.value = '';
});
document.addEventListener('visibilitychange', () => {
  visibleSince = performance.now();
  render();
});
followIncrements(authorization);
setInterval(render, 500);
void followMesh({
  headers: authorization,
  onEvent,
  onRefused: (status) => {
    refusal = status;
    render();
  },
});
