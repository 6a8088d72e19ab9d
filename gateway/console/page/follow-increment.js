// The form: posts an increment and follows it until it is committed.

import { ask } from './api-key.js';
import { byId } from './element.js';
import { formatCount, formatDuration } from './quantities.js';

/** @typedef {{ id: string, sequence: number }} Receipt */

/** How often to ask; an increment is usually committed within ten seconds. */
const ASK_MS = 500;

export function followIncrements() {
  const form = byId('increment');
  const key = /** @type {HTMLInputElement} */ (byId('increment-key'));
  const value = /** @type {HTMLInputElement} */ (byId('increment-value'));
  let current = 0;
  key.value = randomKey();

  byId('new-key').addEventListener('click', () => {
    key.value = randomKey();
    key.focus();
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void follow(key.value.trim().toLowerCase(), value.value.trim(), ++current);
  });

  /** @param {string} key @param {string} value @param {number} number */
  async function follow(key, value, number) {
    const startedAt = performance.now();
    const elapsed = () => formatDuration(performance.now() - startedAt);
    byId('increment-time').textContent = '';
    step('gateways', `Posting ${value} to ${key.slice(0, 8)}…`);
    // As text, since a number would lose the digits above 2^53.
    const body = `{"key":${JSON.stringify(key)},"value":${/^\d+$/.test(value) ? value : JSON.stringify(value)}}`;
    const { status, body: answer } = await ask('increment', { method: 'POST', body });
    if (number !== current) return;
    if (status !== 200) {
      step(undefined, `Not accepted: ${answer?.detail ?? 'the gateway did not answer'}`, 'bad');
      return;
    }
    const { id, sequence } = /** @type {Receipt} */ (answer);
    const onDisk = `On disk as message ${formatCount(sequence)} after ${elapsed()}.`;
    step('stream', `${onDisk} Waiting to be committed …`);
    const { stored, problem } = await untilCommitted(
      id,
      () => number === current,
      (note) => {
        step('stream', `${onDisk} ${note}`);
        // In another element than the status, which is read aloud: this changes all the time.
        byId('increment-time').textContent = elapsed();
      },
    );
    if (number !== current) return;
    byId('increment-time').textContent = '';
    if (problem !== undefined) step(undefined, `${onDisk} ${problem}`, 'bad');
    if (stored !== true) return;
    const committed = `Committed after ${elapsed()}.`;
    const { status: found, body: counter } = await ask(`counters/${key}`);
    if (number !== current) return;
    const total = found === 200 ? ` Its counter is ${formatCount(counter.value)}.` : '';
    step('postgres', `${onDisk} ${committed}${total}`, 'good');
  }

  /**
   * @param {string} id @param {() => boolean} isCurrent @param {(note: string) => void} onWait
   * @returns {Promise<{ stored?: boolean, problem?: string }>}
   */
  async function untilCommitted(id, isCurrent, onWait) {
    while (isCurrent()) {
      const { status, body } = await ask(`increments/${id}`);
      if (status === 200 && body.committed === true) return { stored: true };
      if (status === 401 || status === 403 || status === 404) {
        return { problem: `Its state can't be read: ${body?.detail}` };
      }
      onWait(
        status === 200 ? 'Waiting to be committed …' : 'Its state is unknown now; asking again …',
      );
      await new Promise((resolve) => setTimeout(resolve, ASK_MS));
    }
    return {};
  }
}

/** Shows where the increment is. @param {string | undefined} hop @param {string} text @param {string} [level] */
function step(hop, text, level = '') {
  const target = byId('increment-status');
  target.dataset['level'] = level;
  if (target.textContent !== text) target.textContent = text;
  for (const each of document.querySelectorAll('.hop')) {
    each.classList.toggle('here', hop !== undefined && each.id === `hop-${hop}`);
  }
}

/** crypto.randomUUID needs HTTPS, and a mesh may be viewed over plain HTTP. */
function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
