// The hops of the mesh: their instances, and the rates between them.

import { byId, element, fillList, show } from './element.js';
import { isSilent, total } from './history.js';
import { formatCount, formatDuration, formatRate, formatSeconds, plural } from './quantities.js';

/** @typedef {import('../../../schema/message/heartbeat.ts').MeshEvent} MeshEvent */
/** @typedef {MeshEvent['instances'][number]} Instance */
/** @typedef {ReturnType<typeof import('./history.js').createHistory>} History */

const INSTANCES_SHOWN_MAX = 8;
const NEW_MS = 10_000;

/** The figure whose rate each arrow shows. */
const ARROWS = {
  increments: 'increments_accepted',
  published: 'messages_published',
  consumed: 'messages_consumed',
};

/** @param {MeshEvent} event @param {History} history @param {number} now */
export function showHops(event, history, now) {
  for (const [arrow, figure] of Object.entries(ARROWS)) {
    showRate(arrow, history.rate(event, figure));
  }
  showRate('rows', history.rowRate(now));
  const sorted = event.instances.toSorted((left, right) => right.uptime_ms - left.uptime_ms);
  const gateways = sorted.filter(({ name }) => name === 'gateway');
  const counters = sorted.filter((instance) => instance.name === 'counter');
  const nameOf = namer(event.instances);
  showInstances('gateway', gateways, {
    nameOf,
    workOf: ({ id }) => `${formatRate(history.rate(event, 'increments_accepted', id))}/s`,
  });
  showInstances('counter', counters, {
    nameOf,
    workOf: ({ stats }) =>
      'messages_held' in stats ? `${formatCount(stats.messages_held)} held` : '',
  });
  show('waiting', formatCount(total(event, 'increments_waiting')));

  show('accepted', formatCount(total(event, 'increments_accepted')));
  show('errors', describeErrors(gateways));
  show('committed', formatCount(total(event, 'increments_committed')));
  show('applied', plural(total(event, 'already_applied'), 'repeat'));
  showStream(event, counters);
  const isAway = counters.some(
    (counter) => !isSilent(counter) && !counter.activity.database_connected,
  );
  setState('postgres', counters.every(isSilent) ? 'unknown' : isAway ? 'away' : 'there');
}

/** @param {string} arrow @param {number | undefined} rate */
function showRate(arrow, rate) {
  show(`${arrow}-rate`, formatRate(rate));
  byId(`arrow-${arrow}`).classList.toggle('flowing', rate !== undefined && rate > 0);
}

/** @param {MeshEvent} event @param {Extract<Instance, { name: 'counter' }>[]} counters */
function showStream(event, counters) {
  const freshest = counters
    .filter(({ activity }) => activity.stream !== undefined)
    .toSorted((left, right) => left.silent_ms - right.silent_ms)[0];
  const stream = freshest?.activity.stream;
  const isKnown = stream !== undefined && freshest !== undefined && !isSilent(freshest);
  show('lag-messages', isKnown ? formatCount(stream.messages) : '–');
  show('lag-age', isKnown && stream.messages > 0 ? formatDuration(stream.oldest_age_ms) : '–');
  setState('stream', event.broker_connected ? 'there' : 'away');
}

/**
 * Names instances by their process if all run on one machine, else by their machine: in containers every
 * process has the id 1.
 *
 * @param {Instance[]} instances
 */
export function namer(instances) {
  const isOneHost = new Set(instances.map(({ stats }) => stats.host)).size <= 1;
  return (/** @type {Instance} */ { stats: { pid, host } }) =>
    isOneHost ? String(pid) : pid === 1 ? host : `${host} ${pid}`;
}

/**
 * @param {string} kind @param {Instance[]} instances
 * @param {{ nameOf: (instance: Instance) => string, workOf: (instance: Instance) => string }} how
 */
function showInstances(kind, instances, { nameOf, workOf }) {
  const alive = instances.filter((instance) => !isSilent(instance)).length;
  show(`${kind}s`, formatCount(alive));
  const shown = instances.slice(0, INSTANCES_SHOWN_MAX);
  fillList(byId(`${kind}-list`), shown, {
    key: ({ id }) => id,
    make: () =>
      element(
        'li',
        'instance',
        element('span', 'process'),
        element('span', 'state'),
        element('span', 'work'),
      ),
    fill: (item, instance) => {
      const { stats, silent_ms: silentMs, is_stopping: isStopping, uptime_ms: uptimeMs } = instance;
      const isGone = isSilent(instance);
      item.classList.toggle('gone', isGone && !isStopping);
      item.classList.toggle('stopped', isStopping);
      item.title = `${instance.id} on ${stats.host}, version ${instance.version}, up ${formatDuration(uptimeMs)}`;
      const [name, state, work] = item.children;
      put(name, nameOf(instance));
      if (isStopping) put(state, 'stopped');
      else if (isGone) put(state, `silent ${formatSeconds(silentMs)}`);
      else put(state, uptimeMs < NEW_MS ? 'new' : '');
      put(work, isGone ? '' : workOf(instance));
    },
  });
  const more = instances.length - shown.length;
  show(`${kind}s-more`, more > 0 ? `and ${more} more` : '');
}

/** Answers that are errors, by their HTTP status. @param {Instance[]} gateways */
function describeErrors(gateways) {
  /** @type {Map<string, number>} */
  const errors = new Map();
  for (const { stats } of gateways) {
    if (!('responses' in stats)) continue;
    for (const [status, count] of Object.entries(stats.responses)) {
      if (status >= '400') errors.set(status, (errors.get(status) ?? 0) + count);
    }
  }
  if (errors.size === 0) return 'no errors';
  const counts = [...errors].map(([status, count]) => `${formatCount(count)} × ${status}`);
  return `answered ${counts.join(', ')}`;
}

/** @param {string} hop @param {'there' | 'away' | 'unknown'} state */
function setState(hop, state) {
  byId(`hop-${hop}`).dataset['state'] = state;
  const words = { there: '', away: 'away', unknown: 'unknown' };
  show(`${hop}-state`, words[state]);
}

/** @param {Element | undefined} target @param {string} text */
function put(target, text) {
  if (target !== undefined && target.textContent !== text) target.textContent = text;
}
