// The console: follows the mesh and shows it. Everything on the page was received from the gateway that
// served it; the header shows when.

import { apiKey } from './api-key.js';
import { followCursor } from './cursor.js';
import { showDeadLetters } from './dead-letters.js';
import { byId, show } from './element.js';
import { followMesh } from './events.js';
import { followIncrements } from './follow-increment.js';
import { createHistory } from './history.js';
import { nameOf, showHops } from './hops.js';
import { lookUpCounters } from './look-up-counter.js';
import { plotFlushes, plotRates, readFlushes, readRates } from './plot.js';
import { formatDuration, formatSeconds } from './quantities.js';
import { writeSaved } from './saved-history.js';
import { showGrowing } from './growing-keys.js';
import { showRates, showStaleness } from './rates.js';
import { OLD_MS, OLD_WHILE_HIDDEN_MS, verdictOf } from './verdict.js';
import { showFindings, showVerdict } from './findings.js';

/** @typedef {import('../../../schema/message/heartbeat.ts').MeshEvent} MeshEvent */

const SAVED = 'increment-mesh-history';

const history = createHistory(sessionStorage.getItem(SAVED), Date.now());
/** @type {{ event: MeshEvent, at: number } | undefined} */
let last;
const NOT_REFUSED = { status: 0, code: '', detail: '' };
/** The HTTP status of a refused request for events, and what the answer says. */
let refusal = NOT_REFUSED;
/** Since when events are awaited; a hidden page looks only now and then. */
let visibleSince = performance.now();

const flushes = () => [...history.flushes.values()];
const ratesCursor = followCursor(byId('rates-plot'), byId('rates-reading'), {
  readings: () => readRates(history.samples),
  now: Date.now,
  onChange: () => plot(),
});
const flushCursor = followCursor(byId('flush-plot'), byId('flush-reading'), {
  readings: () => readFlushes(flushes()),
  now: Date.now,
  onChange: () => plot(),
});

/** @param {MeshEvent} event */
function onEvent(event) {
  last = { event, at: performance.now() };
  refusal = NOT_REFUSED;
  history.record(event, Date.now());
  render();
  if (document.hidden) return;
  showRates(history, Date.now());
  showHops(event, history, Date.now());
  showGrowing(event);
  showDeadLetters(event);
  const newest = flushes().toSorted((left, right) => right.at - left.at)[0];
  show('last-flush', newest === undefined ? '–' : formatDuration(newest.durationMs));
}

/** Shows what also changes while no event arrives. */
function render() {
  const silentMs = performance.now() - (last?.at ?? 0);
  const isAsking = asksForKey();
  const oldMs = document.hidden ? OLD_WHILE_HIDDEN_MS : OLD_MS;
  const isOld = last === undefined || isAsking || silentMs > oldMs;
  document.body.classList.toggle('old', isOld);
  document.body.classList.toggle('empty', last === undefined);
  document.body.classList.toggle('asking', isAsking);
  byId('key-form').hidden = !isAsking;
  byId('forget').hidden = apiKey.read() === null;
  showVerdict(
    verdictOf({
      event: isOld ? undefined : last?.event,
      refusal: refusal.status,
      code: refusal.code,
      detail: refusal.detail,
      hasKey: apiKey.read() !== null,
      waitingMs: performance.now() - visibleSince,
    }),
  );
  if (document.hidden) return;
  showFindings(isOld ? [] : (last?.event.findings.slice(1) ?? []));
  showStaleness(isOld ? undefined : last?.event);
  show('source', isAsking ? '' : describeSource(silentMs));
  plot();
}

function asksForKey() {
  return refusal.status === 401 || refusal.status === 403;
}

function plot() {
  if (byId('rates-plot').clientWidth === 0) return;
  plotRates(byId('rates-plot'), history.samples, Date.now(), ratesCursor());
  plotFlushes(byId('flush-plot'), flushes(), Date.now(), flushCursor());
}

/** The gateway that reported this, and when. @param {number} silentMs */
function describeSource(silentMs) {
  const reporter = last?.event.instances.find(({ id }) => id === last?.event.reported_by);
  if (reporter === undefined) return '';
  const when = silentMs < 1_500 ? 'just now' : `${formatSeconds(silentMs)} ago`;
  return `Reported by ${nameOf(reporter)}, version ${reporter.version}, ${when}`;
}

function save() {
  try {
    sessionStorage.setItem(SAVED, writeSaved(history));
  } catch {
    // There is no room; the plots begin anew.
  }
}

byId('key-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const field = /** @type {HTMLInputElement} */ (byId('key'));
  apiKey.keep(field.value.trim());
  field.value = '';
});
byId('forget').addEventListener('click', () => {
  removeEventListener('pagehide', save);
  apiKey.forget();
  sessionStorage.removeItem(SAVED);
  location.reload();
});
document.addEventListener('visibilitychange', () => {
  visibleSince = performance.now();
  render();
});
addEventListener('pagehide', save);
followIncrements();
lookUpCounters();
setInterval(render, 500);
void followMesh({
  onEvent,
  onRefused: (found) => {
    refusal = found;
    render();
  },
  onAway: () => {
    // Whoever types a key goes on.
    if (!asksForKey()) refusal = NOT_REFUSED;
  },
});
