// The form: posts an increment and follows it until it is committed.

import { ask } from './api-key.js';
import { byId } from './element.js';
import { formatCount, formatDuration } from './quantities.js';

/** @typedef {{ id: string, sequence: number }} Receipt */
/** @typedef {{ counted: number, repeated: number, dead_letters: { reason: string }[] }} Outcome of a message */

/** How often to ask; an increment is usually committed within ten seconds. */
const ASK_MS = 500;
const WAITS = 'Waiting to be committed …';
const WAITS_PARKED = 'Parked until a counter service of a newer version runs …';

export function followIncrements() {
  const form = byId('increment');
  const key = /** @type {HTMLInputElement} */ (byId('increment-key'));
  const value = /** @type {HTMLInputElement} */ (byId('increment-value'));
  let current = 0;
  /** The last one, where it may be stored or not. @type {{ body: string, idempotencyKey: string } | undefined} */
  let doubtful;
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
    // The same again has the same key, until it is known what became of it.
    const again = doubtful?.body === body ? doubtful : undefined;
    const idempotencyKey = again?.idempotencyKey ?? randomKey();
    const headers = { 'idempotency-key': idempotencyKey };
    const { status, body: answer } = await ask('increment', { method: 'POST', body, headers });
    // What keeps this attempt from being stored says nothing of the one before.
    const isPassing = status === 429 || status >= 500;
    const isUnknown =
      status === 0 || answer?.code === 'outcome-unknown' || (again !== undefined && isPassing);
    doubtful = isUnknown ? { body, idempotencyKey } : undefined;
    if (number !== current) return;
    if (isUnknown) {
      const why = status === 0 ? 'The gateway did not answer.' : answer.detail;
      step(undefined, `Perhaps accepted: post it again, and it counts once. ${why}`, 'bad');
      return;
    }
    if (status !== 200) {
      step(undefined, `Not accepted: ${answer?.detail}`, 'bad');
      return;
    }
    const { id, sequence } = /** @type {Receipt} */ (answer);
    const onDisk = `On disk as message ${formatCount(sequence)} after ${elapsed()}.`;
    step('stream', `${onDisk} ${WAITS}`);
    const { outcome, problem } = await untilCommitted(
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
    if (outcome === undefined) return;
    const [reason] = outcome.dead_letters.map((each) => each.reason);
    if (reason !== undefined && outcome.counted + outcome.repeated === 0) {
      step(undefined, `${onDisk} Not counted: it is a dead letter, ${reason}.`, 'bad');
      return;
    }
    const committed = `Committed after ${elapsed()}.`;
    const { status: found, body: counter } = await ask(`counters/${key}`);
    if (number !== current) return;
    const total = found === 200 ? ` Its counter is ${formatCount(counter.value)}.` : '';
    // Others' increments may be in the message, and nothing tells whose could not be counted.
    const doubt =
      reason === undefined
        ? ''
        : ` One in its message is a dead letter, ${reason}: perhaps this one.`;
    const level = reason === undefined ? 'good' : 'bad';
    step('postgres', `${onDisk} ${committed}${total}${doubt}`, level);
  }

  /**
   * @param {string} id @param {() => boolean} isCurrent @param {(note: string) => void} onWait
   * @returns {Promise<{ outcome?: Outcome, problem?: string }>}
   */
  async function untilCommitted(id, isCurrent, onWait) {
    while (isCurrent()) {
      const { status, body } = await ask(`increments/${id}`);
      if (status === 200 && body.committed === true) return { outcome: body.increments };
      if (status === 401 || status === 403 || status === 404) {
        return { problem: `Its state can't be read: ${body?.detail}` };
      }
      const waiting = body?.parked === true ? WAITS_PARKED : WAITS;
      onWait(status === 200 ? waiting : 'Its state is unknown now; asking again …');
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
