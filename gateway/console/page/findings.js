// The headline with its reasons, and what else the gateway has found.

import { byId, element, fillList, show } from './element.js';
import { sentence } from './verdict.js';

/** @typedef {import('../../../schema/message/heartbeat.ts').MeshEvent} MeshEvent */
/** @typedef {MeshEvent['findings'][number]} Finding */
/** @typedef {import('./verdict.js').Verdict} Verdict */

const ICONS = {
  good: 'icon.svg',
  warning: 'icon-warning.svg',
  bad: 'icon-bad.svg',
  unknown: 'icon-unknown.svg',
};

/** Also in the title and the icon of the tab. @param {Verdict} verdict */
export function showVerdict({ level, text, advice, evidence, runbook }) {
  byId('verdict').dataset['level'] = level;
  show('verdict', text);
  put(byId('advice'), advice);
  show('evidence', evidence);
  show('runbook', runbook);
  byId('because').hidden = advice === '' && evidence === '';
  const title = `${text.replace(/:.*|\.$/, '')} – increment-mesh`;
  if (document.title !== title) document.title = title;
  const icon = `console/${ICONS[level]}`;
  if (byId('icon').getAttribute('href') !== icon) byId('icon').setAttribute('href', icon);
}

/** @param {Finding[]} findings those after the headline */
export function showFindings(findings) {
  byId('others').hidden = findings.length === 0;
  fillList(byId('findings'), findings, {
    key: ({ name }) => name,
    make: () =>
      element(
        'li',
        '',
        element('b', ''),
        element('p', ''),
        element('p', 'quiet', element('span', ''), ' ', element('code', '')),
      ),
    fill: (item, { level, cause, effect, next, evidence, runbook }) => {
      item.dataset['level'] = level;
      put(item.children[0], `${cause}.`);
      put(item.children[1], `${effect}. ${next}.`);
      const [seen, where] = item.children[2]?.children ?? [];
      put(seen, sentence(evidence));
      put(where, runbook);
    },
  });
}

/** What is between backticks is code. @param {Element | undefined} target @param {string} text */
function put(target, text) {
  if (!(target instanceof HTMLElement) || target.dataset['text'] === text) return;
  target.dataset['text'] = text;
  const parts = text.split('`');
  target.replaceChildren(
    ...parts.map((part, index) => (index % 2 === 1 ? element('code', '', part) : part)),
  );
}
