// The keys that grow most.

import { byId, element, fillList } from './element.js';
import { lookUp } from './look-up-counter.js';
import { formatCount } from './quantities.js';

/** @typedef {import('../../../schema/message/heartbeat.ts').MeshEvent} MeshEvent */

const KEYS_SHOWN_MAX = 8;
const BAR_PIXELS = 64;

/** @param {MeshEvent} event */
export function showGrowing({ instances }) {
  /** @type {Map<string, bigint>} */
  const sums = new Map();
  for (const instance of instances) {
    if (instance.name !== 'counter') continue;
    for (const { key, added } of instance.activity.growing_keys) {
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
    make: () => {
      const name = element('button', 'link');
      name.title = 'Look it up';
      name.addEventListener('click', () => lookUp(name.textContent ?? ''));
      return element(
        'tr',
        '',
        element('td', 'key', name),
        element('td', 'bar', element('i', '')),
        element('td', 'number'),
      );
    },
    fill: (row, [key, added]) => {
      const [name, bar, number] = row.children;
      if (name?.firstElementChild) name.firstElementChild.textContent = key;
      if (number !== undefined) number.textContent = `+${formatCount(added)}`;
      const share = Number((added * 1_000n) / largest) / 1_000;
      if (bar?.firstElementChild instanceof HTMLElement) {
        bar.firstElementChild.style.inlineSize = `${share * BAR_PIXELS}px`;
      }
    },
  });
}
