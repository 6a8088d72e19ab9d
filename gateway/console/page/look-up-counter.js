// The form that reads one counter.

import { ask } from './api-key.js';
import { byId, show } from './element.js';
import { formatCount, formatTime } from './quantities.js';

/** Only the last one asked for is shown. */
let current = 0;

export function lookUpCounters() {
  byId('lookup-form').addEventListener('submit', (event) => {
    event.preventDefault();
    void read(field().value.trim().toLowerCase());
  });
}

/** @param {string} key */
export function lookUp(key) {
  field().value = key;
  void read(key);
}

/** @param {string} key */
async function read(key) {
  const number = ++current;
  const { status, body } = await ask(`counters/${encodeURIComponent(key)}`);
  if (number !== current) return;
  const isFound = status === 200;
  byId('lookup-answer').hidden = !isFound;
  const level = isFound ? 'good' : status === 404 ? '' : 'bad';
  byId('lookup-status').dataset['level'] = level;
  byId('lookup-status').textContent = isFound ? '' : describe(status, body);
  if (!isFound) return;
  show('lookup-value', formatCount(body.value));
  show('lookup-updated', describeTime(body.updated_at));
  const { complete_through: through } = body;
  show(
    'lookup-complete',
    through === null ? 'unknown: no counter service has told yet' : describeTime(through),
  );
}

/** @param {number} status @param {any} body */
function describe(status, body) {
  if (status === 0) return 'The gateway did not answer.';
  if (body?.code !== 'no-such-counter') return body?.detail ?? `The gateway answered ${status}.`;
  const through = body.complete_through;
  const until = typeof through === 'string' ? ` up to ${describeTime(through)}` : '';
  return `Not counted yet, or never: nothing was counted for this key${until}.`;
}

/** By the clock of whoever looks, with the day unless it is today. @param {string} text as the interface has it */
function describeTime(text) {
  const date = new Date(text);
  const isToday = date.toDateString() === new Date().toDateString();
  return `${isToday ? '' : `${date.toLocaleDateString()} `}${formatTime(date.getTime())}`;
}

function field() {
  return /** @type {HTMLInputElement} */ (byId('lookup-key'));
}
