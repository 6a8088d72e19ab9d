// Two plots of the last minutes: staleness, and the duration of flushes.

import { SHOWN_MS } from './history.js';
import { formatDuration } from './quantities.js';
import { STALENESS_MS_MAX } from './verdict.js';

/** @typedef {ReturnType<typeof import('./history.js').createHistory>} History */
/** @typedef {{ x: (at: number) => number, y: (value: number) => number, axes: string }} Frame */

/** Room for the labels, in pixels. */
const LEFT = 52;
const RIGHT = 8;
const TOP = 10;
const BOTTOM = 22;
const MINUTES = [5, 4, 3, 2, 1, 0];

/** @param {Element} svg @param {History} history @param {number} now */
export function plotStaleness(svg, { ages, flushes }, now) {
  const commits = flushes.flatMap(({ at, stalenessMs }) =>
    stalenessMs === null ? [] : [{ at, value: stalenessMs }],
  );
  const worst = Math.max(
    0,
    ...ages.map(({ ageMs }) => ageMs ?? 0),
    ...commits.map(({ value }) => value),
  );
  const { x, y, axes } = makeFrame(svg, Math.max(STALENESS_MS_MAX * 1.2, worst * 1.1), now);
  const bound = y(STALENESS_MS_MAX);
  const { clientWidth: width } = svg;
  svg.innerHTML =
    axes +
    runsOf(ages)
      .map((run) => {
        const points = run.map(({ at, ageMs }) => `${x(at)},${y(ageMs)}`).join(' ');
        const ends = [run.at(-1)?.at ?? 0, run[0]?.at ?? 0].map((at) => `${x(at)},${y(0)}`);
        return `<polygon class="area" points="${points} ${ends.join(' ')}"/><polyline class="line" points="${points}"/>`;
      })
      .join('') +
    commits
      .map(({ at, value }) => {
        const late = value > STALENESS_MS_MAX ? ' late' : '';
        return `<circle class="dot${late}" cx="${x(at)}" cy="${y(value)}" r="3.5"/>`;
      })
      .join('') +
    `<line class="bound" x1="${LEFT}" x2="${width - RIGHT}" y1="${bound}" y2="${bound}"/>` +
    `<text class="bound-label" x="${LEFT + 6}" y="${bound - 5}">10 s bound</text>`;
  const summary = commits.length === 0 ? 'no flush yet' : `${formatDuration(worst)} at most`;
  svg.setAttribute(
    'aria-label',
    `Staleness over the last five minutes: ${summary}; the bound is 10 s`,
  );
}

/** @param {Element} svg @param {History} history @param {number} now */
export function plotFlushes(svg, { flushes }, now) {
  const worst = Math.max(0, ...flushes.map(({ durationMs }) => durationMs));
  const { x, y, axes } = makeFrame(svg, Math.max(100, worst * 1.15), now);
  svg.innerHTML =
    axes +
    flushes
      .map(({ at, durationMs }) => {
        const left = x(at);
        return `<line class="stem" x1="${left}" x2="${left}" y1="${y(0)}" y2="${y(durationMs)}"/>`;
      })
      .join('');
  const summary = flushes.length === 0 ? 'none yet' : `${formatDuration(worst)} at most`;
  svg.setAttribute('aria-label', `How long flushes took over the last five minutes: ${summary}`);
}

/** @param {Element} svg @param {number} max @param {number} now @returns {Frame} */
function makeFrame(svg, max, now) {
  const { clientWidth: width, clientHeight: height } = svg;
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  /** @param {number} at */
  const x = (at) => round(LEFT + (1 - (now - at) / SHOWN_MS) * (width - LEFT - RIGHT));
  /** @param {number} value */
  const y = (value) => round(height - BOTTOM - (value / max) * (height - TOP - BOTTOM));
  const values = ticks(max, height)
    .map((value) => {
      const top = y(value);
      return (
        `<line class="grid" x1="${LEFT}" x2="${width - RIGHT}" y1="${top}" y2="${top}"/>` +
        `<text x="${LEFT - 8}" y="${top + 4}" text-anchor="end">${label(value)}</text>`
      );
    })
    .join('');
  const times = MINUTES.map((minutes) => {
    const left = x(now - minutes * 60_000);
    const anchor = minutes === 0 ? 'end' : minutes === 5 ? 'start' : 'middle';
    const text = minutes === 0 ? 'now' : `${minutes} min ago`;
    return `<text class="${minutes % 2 === 0 ? 'minor' : ''}" x="${left}" y="${height - 5}" text-anchor="${anchor}">${text}</text>`;
  }).join('');
  return { x, y, axes: values + times };
}

/** Three to six round values. @param {number} max @param {number} height */
function ticks(max, height) {
  const wanted = height < 120 ? 2 : 4;
  const rough = max / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? rough;
  const found = [];
  for (let value = 0; value <= max; value += step) found.push(value);
  return found;
}

/** @param {number} ms */
function label(ms) {
  if (ms === 0) return '0';
  return ms < 1_000 ? `${ms} ms` : `${Number((ms / 1_000).toFixed(1))} s`;
}

/** A line has a gap while the age was unknown. @param {History['ages']} ages */
function runsOf(ages) {
  /** @type {{ at: number, ageMs: number }[][]} */
  const runs = [];
  let last = -Infinity;
  for (const { at, ageMs } of ages) {
    if (ageMs === undefined) continue;
    if (at - last > GAP_MS) runs.push([]);
    runs.at(-1)?.push({ at, ageMs });
    last = at;
  }
  return runs;
}

const GAP_MS = 2_500;

/** @param {number} pixels */
function round(pixels) {
  return Math.round(pixels * 10) / 10;
}
