// Reads a plot's values: at the pointer, at the finger, or by arrow keys.

import { SHOWN_MS } from './history.js';
import { LEFT, RIGHT } from './plot.js';

/** @typedef {import('./plot.js').Reading} Reading */

/** How far an arrow key with Shift, or Page Up and Page Down, goes. */
const STRIDE = 10;

/**
 * @param {Element} svg @param {HTMLElement} output where the values are written
 * @param {object} options
 * @param {() => Reading[]} options.readings in order of time
 * @param {() => number} options.now
 * @param {() => void} options.onChange
 * @returns {() => Reading | undefined} where the cursor is, if there is one
 */
export function followCursor(svg, output, { readings, now, onChange }) {
  /** @type {number | undefined} */
  let at;

  /** @param {number | undefined} next */
  function move(next) {
    at = next;
    onChange();
  }

  /** @param {PointerEvent} event */
  function point(event) {
    const { left, width } = svg.getBoundingClientRect();
    const share = (event.clientX - left - LEFT) / (width - LEFT - RIGHT);
    move(now() - (1 - share) * SHOWN_MS);
  }

  svg.addEventListener('pointermove', (event) => point(/** @type {PointerEvent} */ (event)));
  svg.addEventListener('pointerdown', (event) => point(/** @type {PointerEvent} */ (event)));
  // A finger that is lifted leaves its values to be read.
  svg.addEventListener('pointerleave', (event) => {
    if (/** @type {PointerEvent} */ (event).pointerType === 'mouse') move(undefined);
  });
  svg.addEventListener('blur', () => move(undefined));
  svg.addEventListener('keydown', (event) => {
    const { key, shiftKey } = /** @type {KeyboardEvent} */ (event);
    const found = readings();
    const index = at === undefined ? found.length : nearest(found, at);
    const step = shiftKey ? STRIDE : 1;
    /** @type {Record<string, number | undefined>} */
    const places = {
      ArrowLeft: index - step,
      ArrowRight: index + step,
      PageUp: index - STRIDE,
      PageDown: index + STRIDE,
      Home: 0,
      End: found.length - 1,
      Escape: -1,
    };
    const place = places[key];
    if (place === undefined) return;
    event.preventDefault();
    const last = found.length - 1;
    move(key === 'Escape' ? undefined : found[Math.max(0, Math.min(place, last))]?.at);
  });

  return () => {
    const found = readings();
    const reading = at === undefined ? undefined : found[nearest(found, at)];
    const text = reading?.text ?? '';
    if (output.textContent !== text) output.textContent = text;
    return reading;
  };
}

/** The index of the reading that is nearest to a time. @param {Reading[]} readings @param {number} at */
function nearest(readings, at) {
  let best = 0;
  readings.forEach((reading, index) => {
    const than = readings[best];
    if (than !== undefined && Math.abs(reading.at - at) < Math.abs(than.at - at)) best = index;
  });
  return best;
}
