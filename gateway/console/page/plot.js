// The plots of the last minutes: increments in a second, and the duration of flushes.

import { SHOWN_MS } from './history.js';
import { formatCount, formatDuration, formatRate, formatTime } from './quantities.js';

/** @typedef {import('./history.js').Sample} Sample */
/** @typedef {import('./history.js').Flush} Flush */
/** @typedef {{ x: (at: number) => number, y: (value: number) => number, axes: string }} Frame */
/**
 * A time of a plot and what is shown for it.
 *
 * @typedef {{ at: number, text: string, points: { className: string, value: number }[] }} Reading
 */

/** Room for the labels, in pixels. */
export const LEFT = 52;
export const RIGHT = 8;
const TOP = 10;
const BOTTOM = 22;
const MINUTES = [5, 4, 3, 2, 1, 0];
/** A line has a gap where nothing was received for longer. */
const GAP_MS = 3_500;

/**
 * @param {Element} svg @param {Sample[]} samples @param {number} now @param {Reading | undefined} cursor
 */
export function plotRates(svg, samples, now, cursor) {
  const rates = samples.flatMap(({ accepted = 0, committed = 0 }) => [accepted, committed]);
  const largest = Math.max(0, ...rates);
  const frame = makeFrame(svg, { max: Math.max(4, largest * 1.12), now, label: labelRate });
  const { x, y, axes } = frame;
  const line = (/** @type {'accepted' | 'committed'} */ name) =>
    runsOf(samples, name)
      .map((run) => {
        const points = run.map(({ at, value }) => `${x(at)},${y(value)}`);
        // A run of one would be invisible.
        return `<polyline class="line ${name}" points="${points.join(' ')} ${points.at(-1)}"/>`;
      })
      .join('');
  const errors = samples
    .filter(({ errors }) => Object.keys(errors).length > 0)
    .map(({ at, errors }) => {
      const kind = Object.keys(errors).some((status) => status >= '500') ? 'bad' : 'warning';
      return `<circle class="error ${kind}" cx="${x(at)}" cy="${y(0)}" r="3.5"/>`;
    });
  svg.innerHTML =
    axes + line('accepted') + line('committed') + errors.join('') + draw(cursor, frame);
  const summary = samples.length === 0 ? 'nothing yet' : `${formatRate(largest)} at most`;
  label(svg, `Increments per second over the last five minutes: ${summary}`, cursor);
}

/** @param {Element} svg @param {Flush[]} flushes @param {number} now @param {Reading | undefined} cursor */
export function plotFlushes(svg, flushes, now, cursor) {
  const worst = Math.max(0, ...flushes.map(({ durationMs }) => durationMs));
  const frame = makeFrame(svg, { max: Math.max(100, worst * 1.15), now, label: labelDuration });
  const { x, y, axes } = frame;
  const stems = flushes.map(({ at, durationMs }) => {
    const left = x(at);
    return `<line class="stem" x1="${left}" x2="${left}" y1="${y(0)}" y2="${y(durationMs)}"/>`;
  });
  svg.innerHTML = axes + stems.join('') + draw(cursor, frame);
  const summary = flushes.length === 0 ? 'none yet' : `${formatDuration(worst)} at most`;
  label(svg, `How long flushes took over the last five minutes: ${summary}`, cursor);
}

/** @param {Sample[]} samples @returns {Reading[]} */
export function readRates(samples) {
  return samples.map(({ at, accepted, committed, errors }) => {
    const texts = [
      accepted === undefined ? 'accepted unknown' : `${formatRate(accepted)}/s accepted`,
      committed === undefined ? 'committed unknown' : `${formatRate(committed)}/s committed`,
      ...Object.entries(errors).map(([status, count]) => `${formatCount(count)} × ${status}`),
    ];
    const points = [
      ...(accepted === undefined ? [] : [{ className: 'accepted', value: accepted }]),
      ...(committed === undefined ? [] : [{ className: 'committed', value: committed }]),
    ];
    return { at, text: `${formatTime(at)}: ${texts.join(', ')}`, points };
  });
}

/** @param {Flush[]} flushes @returns {Reading[]} */
export function readFlushes(flushes) {
  return flushes
    .toSorted((left, right) => left.at - right.at)
    .map(({ at, durationMs, stalenessMs, rows }) => {
      const stale = stalenessMs === null ? '' : `, ${formatDuration(stalenessMs)} stale`;
      return {
        at,
        text: `${formatTime(at)}: ${formatDuration(durationMs)}, ${formatCount(rows)} rows${stale}`,
        points: [{ className: 'committed', value: durationMs }],
      };
    });
}

/** @param {Element} svg @param {{ max: number, now: number, label: (value: number) => string }} options @returns {Frame} */
function makeFrame(svg, { max, now, label }) {
  const { clientWidth: width, clientHeight: height } = svg;
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  /** @param {number} at */
  const x = (at) => round(LEFT + (1 - (now - at) / SHOWN_MS) * (width - LEFT - RIGHT));
  /** @param {number} value */
  const y = (value) => round(height - BOTTOM - (value / max) * (height - TOP - BOTTOM));
  const values = ticks(max, height).map((value) => {
    const top = y(value);
    return (
      `<line class="grid" x1="${LEFT}" x2="${width - RIGHT}" y1="${top}" y2="${top}"/>` +
      `<text x="${LEFT - 8}" y="${top + 4}" text-anchor="end">${label(value)}</text>`
    );
  });
  const isNarrow = width < 560;
  const times = MINUTES.filter((minutes) => !isNarrow || minutes % 5 === 0).map((minutes) => {
    const anchor = minutes === 0 ? 'end' : minutes === 5 ? 'start' : 'middle';
    const text = minutes === 0 ? 'now' : `${minutes} min ago`;
    return `<text x="${x(now - minutes * 60_000)}" y="${height - 5}" text-anchor="${anchor}">${text}</text>`;
  });
  return { x, y, axes: values.join('') + times.join('') };
}

/** Three to six round values. @param {number} max @param {number} height */
function ticks(max, height) {
  const wanted = height < 150 ? 2 : 4;
  const rough = max / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step =
    [1, 2, 3, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? rough;
  const found = [];
  for (let value = 0; value <= max; value += step) found.push(value);
  return found;
}

/** @param {Reading | undefined} cursor @param {Frame} frame */
function draw(cursor, { x, y }) {
  if (cursor === undefined) return '';
  const left = x(cursor.at);
  const points = cursor.points.map(
    ({ className, value }) =>
      `<circle class="point ${className}" cx="${left}" cy="${y(value)}" r="4"/>`,
  );
  return `<line class="cursor" x1="${left}" x2="${left}" y1="${TOP}" y2="${y(0)}"/>${points.join('')}`;
}

/** @param {Element} svg @param {string} summary @param {Reading | undefined} cursor */
function label(svg, summary, cursor) {
  svg.setAttribute('aria-label', `${summary}.${cursor === undefined ? '' : ` ${cursor.text}`}`);
}

/** @param {number} perSecond */
function labelRate(perSecond) {
  return formatCount(Number(perSecond.toFixed(1)));
}

/** @param {number} ms */
function labelDuration(ms) {
  if (ms === 0) return '0';
  return ms < 1_000 ? `${ms} ms` : `${Number((ms / 1_000).toFixed(1))} s`;
}

/** @param {Sample[]} samples @param {'accepted' | 'committed'} name */
function runsOf(samples, name) {
  /** @type {{ at: number, value: number }[][]} */
  const runs = [];
  let last = -Infinity;
  for (const { at, [name]: value } of samples) {
    if (value === undefined) continue;
    if (at - last > GAP_MS) runs.push([]);
    runs.at(-1)?.push({ at, value });
    last = at;
  }
  return runs;
}

/** @param {number} pixels */
function round(pixels) {
  return Math.round(pixels * 10) / 10;
}
