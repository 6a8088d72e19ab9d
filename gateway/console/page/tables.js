// The keys that grow most, and what could not be counted.

import { byId, element, fillList } from './element.js';
import { formatCount, formatDuration } from './quantities.js';

/** @typedef {import('../../../schema/message/heartbeat.ts').MeshEvent} MeshEvent */
/** @typedef {Extract<MeshEvent['instances'][number], { name: 'counter' }>} CounterInstance */

const KEYS_SHOWN_MAX = 8;
const BAR_PIXELS = 64;
const DEAD_LETTERS_SHOWN_MAX = 5;

/** @param {MeshEvent} event */
export function showTables(event) {
  const counters = event.instances.filter((instance) => instance.name === 'counter');
  showGrowing(counters);
  showDeadLetters(counters);
}

/** @param {CounterInstance[]} counters */
function showGrowing(counters) {
  /** @type {Map<string, bigint>} */
  const sums = new Map();
  for (const { activity } of counters) {
    for (const { key, added } of activity.growing_keys) {
      sums.set(key, (sums.get(key) ?? 0n) + BigInt(added));
    }
  }
  const rows = [...sums]
    .toSorted(([, left], [, right]) => (left < right ? 1 : -1))
    .slice(0, KEYS_SHOWN_MAX);
  const largest = rows[0]?.[1] ?? 1n;
  byId('growing-empty').hidden = rows.length > 0;
  fillList(byId('growing'), rows, {
    key: ([key]) => key,
    make: () =>
      element(
        'tr',
        '',
        element('td', 'key'),
        element('td', 'bar', element('i', '')),
        element('td', 'number'),
      ),
    fill: (row, [key, added]) => {
      const [name, bar, number] = row.children;
      if (name !== undefined) name.textContent = key;
      if (number !== undefined) number.textContent = `+${formatCount(added)}`;
      const share = Number((added * 1_000n) / largest) / 1_000;
      if (bar?.firstElementChild instanceof HTMLElement) {
        bar.firstElementChild.style.inlineSize = `${share * BAR_PIXELS}px`;
      }
    },
  });
}

/** @param {CounterInstance[]} counters */
function showDeadLetters(counters) {
  /** @type {Map<string, number>} */
  const reasons = new Map();
  for (const { activity } of counters) {
    for (const [reason, count] of Object.entries(activity.dead_letters)) {
      reasons.set(reason, (reasons.get(reason) ?? 0) + count);
    }
  }
  const latest = counters
    .flatMap(({ id, activity, silent_ms: silentMs }) =>
      activity.latest_dead_letters.map((deadLetter, index) => ({
        ...deadLetter,
        name: `${id} ${deadLetter.sequence} ${index}`,
        ageMs: deadLetter.age_ms + silentMs,
      })),
    )
    .toSorted((left, right) => left.ageMs - right.ageMs)
    .slice(0, DEAD_LETTERS_SHOWN_MAX);
  byId('letters-empty').hidden = reasons.size > 0;
  byId('letters-summary').textContent = [...reasons]
    .map(([reason, count]) => `${formatCount(count)} × ${reason}`)
    .join(', ');
  fillList(byId('letters'), latest, {
    key: ({ name }) => name,
    make: () => element('li', '', element('span', ''), element('span', 'quiet')),
    fill: (item, { reason, sequence, ageMs }) => {
      const texts = [reason, ` message ${formatCount(sequence)}, ${formatDuration(ageMs)} ago`];
      texts.forEach((text, index) => {
        const target = item.children[index];
        if (target !== undefined) target.textContent = text;
      });
    },
  });
}
