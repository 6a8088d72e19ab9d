// What could not be counted, under the numbers that the commands take.

import { byId, element, fillList, show } from './element.js';
import { isSilent } from './history.js';
import { formatCount, formatDuration, plural } from './quantities.js';

/** @typedef {import('../../../schema/message/heartbeat.ts').MeshEvent} MeshEvent */
/** @typedef {Extract<MeshEvent['instances'][number], { name: 'counter' }>} CounterInstance */

const COMMANDS = ['show', 'replay', 'purge'];
const PREVIEW_LENGTH = 60;
const COPIED_MS = 1_500;

/** As the counter service that was heard last has them. @param {MeshEvent} event */
export function showDeadLetters({ instances }) {
  const counter = instances
    .filter((each) => each.name === 'counter')
    .filter((each) => each.activity.dead_letters_waiting !== undefined)
    .toSorted((left, right) => left.silent_ms - right.silent_ms)[0];
  const waiting = counter?.activity.dead_letters_waiting;
  show('letters-summary', summarize(counter));
  const latest = (waiting?.latest ?? []).toSorted((left, right) => right.number - left.number);
  fillList(byId('letters'), latest, {
    key: ({ number }) => String(number),
    make: makeItem,
    fill: (item, { number, reason, subject, payload, age_ms: ageMs }) => {
      /** @param {string} name @param {string} text */
      const put = (name, text) => {
        const target = item.querySelector(`.${name}`);
        if (target !== null && target.textContent !== text) target.textContent = text;
      };
      item.dataset['number'] = String(number);
      put('number', `#${formatCount(number)}`);
      put('reason', reason);
      put('from', `${subject}, ${formatDuration(ageMs + (counter?.silent_ms ?? 0))} ago`);
      put('preview', shorten(payload));
      put('payload', payload);
    },
  });
}

/** @param {CounterInstance | undefined} counter */
function summarize(counter) {
  const waiting = counter?.activity.dead_letters_waiting;
  if (counter === undefined || waiting === undefined) {
    return 'Not known: no counter service has reported them.';
  }
  if (waiting.messages === 0) return 'None wait.';
  const more = waiting.messages - waiting.latest.length;
  const rest = more > 0 ? `, the newest ${waiting.latest.length} of them here` : '';
  const since = isSilent(counter) ? `, as reported ${formatDuration(counter.silent_ms)} ago` : '';
  const verb = waiting.messages === 1 ? 'waits' : 'wait';
  return `${plural(waiting.messages, 'message')} ${verb}, uncounted${rest}${since}.`;
}

function makeItem() {
  const item = element('li', '');
  const said = element('span', 'copied quiet');
  said.setAttribute('role', 'status');
  const buttons = COMMANDS.map((command) => {
    const button = element('button', 'plain small', command);
    button.addEventListener('click', () => {
      void copy(`npm run mesh -- dead-letters ${command} ${item.dataset['number']}`, said);
    });
    return button;
  });
  item.append(
    element(
      'p',
      'what',
      element('b', 'number'),
      ' ',
      element('span', 'reason'),
      ' ',
      element('span', 'from quiet'),
    ),
    element('details', '', element('summary', 'preview'), element('pre', 'payload')),
    element('p', 'commands', element('span', 'quiet', 'Copy the command to'), ...buttons, said),
  );
  return item;
}

/** The clipboard needs HTTPS or this machine; elsewhere the command is shown to be copied by hand. @param {string} command @param {HTMLElement} said */
async function copy(command, said) {
  try {
    await navigator.clipboard.writeText(command);
    said.textContent = 'Copied.';
    setTimeout(() => (said.textContent = ''), COPIED_MS);
  } catch {
    said.replaceChildren(element('code', '', command));
    getSelection()?.selectAllChildren(said);
  }
}

/** In one line. @param {string} payload */
function shorten(payload) {
  const line = payload.replace(/\s+/g, ' ');
  return line.length > PREVIEW_LENGTH ? `${line.slice(0, PREVIEW_LENGTH - 1)}…` : line;
}
