// What was received lately, for rates and plots.

import { followCommits } from './commit-rate.js';
import { highestOf } from './highest.js';
import { readSaved } from './saved-history.js';

/** @typedef {import('../../../schema/message/heartbeat.ts').MeshEvent} MeshEvent */
/** @typedef {MeshEvent['instances'][number]} Instance */
/** @typedef {{ at: number, durationMs: number, stalenessMs: number | null, rows: number }} Flush */
/**
 * Increments in a second, undefined while unknown, and answers that were errors since the sample before, by
 * their status.
 *
 * @typedef {object} Sample
 * @property {number} at
 * @property {number | undefined} accepted
 * @property {number | undefined} committed
 * @property {Record<string, number>} errors
 */
/** @typedef {ReturnType<typeof createHistory>} History */

/** An instance that is silent for this long counts as gone, until its next heartbeat. */
export const SILENT_MS = 2_500;
/** How far the plots go back. */
export const SHOWN_MS = 5 * 60_000;
/** Heartbeats come once a second. */
const SAMPLE_MS = 900;
const RATE_MS = 5_000;
/** A counter service commits every nine seconds, so this is an average of two flushes. */
const ROW_RATE_MS = 18_000;
const MINUTE_MS = 60_000;

/** @param {Instance} instance */
export function isSilent({ silent_ms: silentMs, is_stopping: isStopping }) {
  return isStopping || silentMs > SILENT_MS;
}

/** @param {string | null} saved of an earlier load of the page @param {number} now */
export function createHistory(saved, now) {
  const { samples, flushes, commits, highest } = readSaved(saved, now - SHOWN_MS, now);
  /** @type {Map<string, Instance[]>} */
  const received = new Map();
  /** Errors since the last sample. @type {Record<string, number>} */
  let errors = {};
  const openedAt = now;

  /** @param {MeshEvent} event @param {number} now */
  function record(event, now) {
    const present = new Set(event.instances.map(({ id }) => id));
    for (const id of received.keys()) {
      if (present.has(id)) continue;
      received.delete(id);
      commits.delete(id);
    }
    for (const instance of event.instances) remember(instance, now);
    const activities = event.instances.flatMap((each) =>
      each.name === 'counter' ? [each.activity] : [],
    );
    highest.stored = highestOf(
      highest.stored,
      activities.map(({ stream }) => stream?.last_sequence),
      now,
    );
    highest.counted = highestOf(
      highest.counted,
      activities.map(({ increments_counted: counted }) => counted),
      now,
    );
    sample(event, now);
    for (const [name, { at }] of flushes) if (at < now - SHOWN_MS) flushes.delete(name);
  }

  /** @param {Instance} instance @param {number} now */
  function remember(instance, now) {
    const heartbeats = received.get(instance.id) ?? [];
    received.set(instance.id, heartbeats);
    const previous = heartbeats.at(-1);
    if (previous?.uptime_ms !== instance.uptime_ms) {
      heartbeats.push(instance);
      countErrors(instance, previous, now);
    }
    while ((heartbeats[0]?.uptime_ms ?? 0) < instance.uptime_ms - RATE_MS) heartbeats.shift();
    if (instance.name !== 'counter') return;
    for (const { number, age_ms: ageMs, ...flush } of instance.activity.flushes) {
      const name = `${instance.id} ${number}`;
      if (flushes.has(name)) continue;
      const at = now - instance.silent_ms - ageMs;
      const { duration_ms: durationMs, staleness_ms: stalenessMs, rows } = flush;
      if (at > now - SHOWN_MS) flushes.set(name, { at, durationMs, stalenessMs, rows });
    }
    const lastMs = instance.activity.flushes.at(-1)?.age_ms ?? instance.uptime_ms;
    const { increments_committed: committed } = instance.stats;
    const seen = { committed, flushedAt: now - instance.silent_ms - lastMs };
    commits.set(instance.id, followCommits(commits.get(instance.id), seen, now));
  }

  /** @param {Instance} instance @param {Instance | undefined} previous @param {number} now */
  function countErrors(instance, previous, now) {
    if (instance.name !== 'gateway') return;
    const isNew = instance.uptime_ms < now - openedAt;
    if (previous === undefined && !isNew) return;
    const before = previous?.name === 'gateway' ? previous.stats.responses : {};
    for (const [status, count] of Object.entries(instance.stats.responses)) {
      const added = count - (before[status] ?? 0);
      if (/^[45]\d\d$/.test(status) && added > 0) errors[status] = (errors[status] ?? 0) + added;
    }
  }

  /** @param {MeshEvent} event @param {number} now */
  function sample(event, now) {
    if (now - (samples.at(-1)?.at ?? -Infinity) < SAMPLE_MS) return;
    const alive = event.instances.filter((each) => each.name === 'counter' && !isSilent(each));
    const rates = alive.map(({ id }) => commits.get(id)?.perSecond);
    const committed = rates.includes(undefined) ? undefined : sumOf(rates);
    samples.push({ at: now, accepted: rate(event, 'increments_accepted'), committed, errors });
    errors = {};
    while ((samples[0]?.at ?? now) < now - SHOWN_MS) samples.shift();
  }

  /**
   * The growth of a stat in a second, over all instances that are heard or of one.
   *
   * @param {MeshEvent} event @param {string} stat @param {string} [id]
   * @returns {number | undefined} undefined while too little was received
   */
  function rate(event, stat, id) {
    const alive = event.instances.filter(
      (instance) =>
        (id === undefined || instance.id === id) &&
        !isSilent(instance) &&
        read(instance, stat) !== undefined,
    );
    return sumOf(alive.map((instance) => rateOf(received.get(instance.id) ?? [], stat)));
  }

  return {
    record,
    rate,
    samples,
    /** By the name of the counter service and their number; in no order. */
    flushes,
    /** By the id of the counter service. */
    commits,
    /** Messages ever stored and increments ever counted. */
    highest,
    /** Rows committed in a second, by the flushes, which late pages get too. @param {number} now */
    rowRate(now) {
      const recent = [...flushes.values()].filter(({ at }) => at > now - ROW_RATE_MS);
      return (recent.reduce((sum, { rows }) => sum + rows, 0) * 1_000) / ROW_RATE_MS;
    },
    /** Answers of the last minute that were errors, by their status. @param {number} now */
    recentErrors(now) {
      /** @type {Map<string, number>} */
      const counts = new Map();
      for (const { at, errors } of samples) {
        if (at < now - MINUTE_MS) continue;
        for (const [status, count] of Object.entries(errors)) {
          counts.set(status, (counts.get(status) ?? 0) + count);
        }
      }
      return counts;
    },
  };
}

/** The sum over all instances, since the start of each. @param {MeshEvent} event @param {string} stat */
export function total(event, stat) {
  return event.instances.reduce((sum, instance) => sum + (read(instance, stat) ?? 0), 0);
}

/** @param {(number | undefined)[]} rates @returns {number | undefined} undefined if none is known */
function sumOf(rates) {
  const known = rates.filter((rate) => rate !== undefined);
  return known.length === 0 ? undefined : known.reduce((sum, rate) => sum + rate, 0);
}

/** @param {Instance[]} heartbeats @param {string} stat */
function rateOf(heartbeats, stat) {
  const last = heartbeats.at(-1);
  const first = heartbeats[0];
  if (first === undefined || last === undefined || first.uptime_ms === last.uptime_ms) {
    return undefined;
  }
  const grown = (read(last, stat) ?? 0) - (read(first, stat) ?? 0);
  return (grown * 1_000) / (last.uptime_ms - first.uptime_ms);
}

/** @param {Instance} instance @param {string} stat @returns {number | undefined} */
function read({ stats }, stat) {
  const value = Object.entries(stats).find(([name]) => name === stat)?.[1];
  return typeof value === 'number' ? value : undefined;
}
