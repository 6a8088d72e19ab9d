// The hops of the mesh: their instances, and the rates between them.

import { byId, element, fillList, show } from './element.js';
import { isSilent, SILENT_MS, total } from './history.js';
import { formatCount, formatDuration, formatRate, formatTime } from './quantities.js';

/** @typedef {import('../../../schema/message/heartbeat.ts').MeshEvent} MeshEvent */
/** @typedef {MeshEvent['instances'][number]} Instance */
/** @typedef {import('./history.js').History} History */

const INSTANCES_SHOWN_MAX = 8;
const NEW_MS = 10_000;

/** The stat whose rate each arrow shows. */
const ARROWS = {
  published: 'messages_published',
  consumed: 'messages_consumed',
};

/** @param {MeshEvent} event @param {History} history @param {number} now */
export function showHops(event, history, now) {
  for (const [arrow, stat] of Object.entries(ARROWS)) {
    showRate(arrow, history.rate(event, stat));
  }
  showRate('rows', history.rowRate(now));
  const present = new Set(event.instances.map(({ id }) => id));
  for (const id of silentSince.keys()) if (!present.has(id)) silentSince.delete(id);
  const sorted = event.instances.toSorted((left, right) => right.uptime_ms - left.uptime_ms);
  const gateways = sorted.filter(({ name }) => name === 'gateway');
  const counters = sorted.filter((instance) => instance.name === 'counter');
  showInstances('gateway', gateways, {
    isGone: has(event, 'GatewayGone'),
    now,
    workOf: ({ id }) => `${formatRate(history.rate(event, 'increments_accepted', id))}/s`,
  });
  showInstances('counter', counters, {
    isGone: has(event, 'CounterGone'),
    now,
    workOf: ({ stats }) =>
      'messages_held' in stats ? `${formatCount(stats.messages_held)} held` : '',
  });
  show('waiting', formatCount(total(event, 'increments_waiting')));

  show('stored', formatHighest(history.highest.stored));
  show('counted', formatHighest(history.highest.counted));
  showStream(event, counters);
  setState('stream', event, /^(?:Broker|Stream)([A-Z]\w*)$/);
  setState('postgres', event, /^Database([A-Z]\w*)$/);
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
  const { bytes, bytes_max: bytesMax } = stream ?? {};
  const isKnown = stream !== undefined && freshest !== undefined && !isSilent(freshest);
  show('lag-messages', isKnown ? formatCount(stream.messages) : '–');
  show('lag-age', isKnown && stream.messages > 0 ? formatDuration(stream.oldest_age_ms) : '–');
  const percent =
    bytes !== undefined && bytesMax ? Math.floor((bytes / bytesMax) * 100) : undefined;
  const fill = percent === 0 ? 'under 1 % full' : `${percent} % full`;
  show('fill', isKnown && percent !== undefined ? fill : '');
}

/** @param {MeshEvent} event @param {string} finding */
function has({ findings }, finding) {
  return findings.some(({ name }) => name === finding);
}

/** @param {import('./highest.js').Highest | undefined} highest */
function formatHighest(highest) {
  return highest === undefined ? '–' : formatCount(highest.value);
}

/** As its log is named; one of an earlier version by its process. @param {Instance} instance */
export function nameOf({ stats: { instance, host, pid } }) {
  return instance ?? `${host} ${pid}`;
}

/** Since when each is silent, by its id: set once, so that it stands still. @type {Map<string, number>} */
const silentSince = new Map();

/**
 * @param {string} kind @param {Instance[]} instances
 * @param {{ isGone: boolean, now: number, workOf: (instance: Instance) => string }} how whether those that are
 * silent are known to be gone: without the broker nobody else is heard
 */
function showInstances(kind, instances, { isGone, now, workOf }) {
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
      const isHeard = !isSilent(instance);
      const since = silentSince.get(instance.id) ?? now - silentMs;
      if (silentMs > SILENT_MS) silentSince.set(instance.id, since);
      else silentSince.delete(instance.id);
      item.classList.toggle('silent', !isHeard && !isStopping);
      item.classList.toggle('gone', !isHeard && !isStopping && isGone);
      item.classList.toggle('stopped', isStopping);
      item.title = `${instance.id} on ${stats.host}, version ${instance.version}, up ${formatDuration(uptimeMs)}`;
      const [name, state, work] = item.children;
      put(name, nameOf(instance));
      if (isStopping) put(state, 'stopped');
      else if (!isHeard) put(state, `${isGone ? 'gone' : 'not heard'} since ${formatTime(since)}`);
      else put(state, uptimeMs < NEW_MS ? 'new' : '');
      put(work, isHeard ? workOf(instance) : '');
    },
  });
  const more = instances.length - shown.length;
  show(`${kind}s-more`, more > 0 ? `and ${more} more` : '');
}

/**
 * By the first finding about it that is bad: DatabaseReadOnly says "read only".
 *
 * @param {string} hop @param {MeshEvent} event @param {RegExp} pattern
 */
function setState(hop, { findings }, pattern) {
  const bad = findings.filter(({ level }) => level === 'bad');
  const found = bad.flatMap(({ name }) => pattern.exec(name)?.[1] ?? [])[0];
  const state = found?.replace(/\B[A-Z]/g, ' $&').toLowerCase() ?? '';
  show(`${hop}-state`, state);
  byId(`hop-${hop}`).toggleAttribute('data-state', state !== '');
}

/** @param {Element | undefined} target @param {string} text */
function put(target, text) {
  if (target !== undefined && target.textContent !== text) target.textContent = text;
}
