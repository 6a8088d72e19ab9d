// What was received lately, for rates and plots.

/** @typedef {import('../../../schema/message/heartbeat.ts').MeshEvent} MeshEvent */
/** @typedef {MeshEvent['instances'][number]} Instance */
/** @typedef {Extract<Instance, { name: 'counter' }>} CounterInstance */
/** @typedef {{ at: number, durationMs: number, stalenessMs: number | null, rows: number }} Flush */
/** @typedef {{ at: number, ageMs: number | undefined }} Age */

/** An instance that is silent for this long counts as gone, until its next heartbeat. */
export const SILENT_MS = 2_500;
/** How far the plots go back. */
export const SHOWN_MS = 5 * 60_000;
const RATE_MS = 5_000;
/** A counter service commits every nine seconds, so this is an average of two flushes. */
const COMMIT_RATE_MS = 18_000;

/** @param {Instance} instance */
export function isSilent({ silent_ms: silentMs, is_stopping: isStopping }) {
  return isStopping || silentMs > SILENT_MS;
}

export function createHistory() {
  /** @type {Map<string, Instance[]>} */
  const received = new Map();
  /** @type {Map<string, Flush>} */
  const flushes = new Map();
  /** @type {Age[]} */
  const ages = [];

  /** @param {MeshEvent} event @param {number} now */
  function record(event, now) {
    const present = new Set(event.instances.map(({ id }) => id));
    for (const id of received.keys()) if (!present.has(id)) received.delete(id);
    for (const instance of event.instances) remember(instance, now);
    ages.push({ at: now, ageMs: oldestAge(event) });
    while ((ages[0]?.at ?? now) < now - SHOWN_MS) ages.shift();
    for (const [name, { at }] of flushes) if (at < now - SHOWN_MS) flushes.delete(name);
  }

  /** @param {Instance} instance @param {number} now */
  function remember(instance, now) {
    const heartbeats = received.get(instance.id) ?? [];
    received.set(instance.id, heartbeats);
    if (heartbeats.at(-1)?.uptime_ms !== instance.uptime_ms) heartbeats.push(instance);
    while ((heartbeats[0]?.uptime_ms ?? 0) < instance.uptime_ms - RATE_MS) heartbeats.shift();
    if (instance.name !== 'counter') return;
    for (const { number, age_ms: ageMs, ...flush } of instance.activity.flushes) {
      const name = `${instance.id} ${number}`;
      if (flushes.has(name)) continue;
      const at = now - instance.silent_ms - ageMs;
      const { duration_ms: durationMs, staleness_ms: stalenessMs, rows } = flush;
      flushes.set(name, { at, durationMs, stalenessMs, rows });
    }
  }

  return {
    record,
    ages,
    /** In no order. */
    get flushes() {
      return [...flushes.values()];
    },
    /**
     * The growth of a figure in a second, over all instances or of one.
     *
     * @param {MeshEvent} event @param {string} figure @param {string} [id]
     * @returns {number | undefined} undefined while too little was received
     */
    rate(event, figure, id) {
      const rates = event.instances
        .filter((instance) => (id === undefined || instance.id === id) && has(instance, figure))
        .map((instance) =>
          isSilent(instance) ? 0 : rateOf(received.get(instance.id) ?? [], figure),
        );
      const known = rates.filter((rate) => rate !== undefined);
      return known.length === 0 ? undefined : known.reduce((sum, rate) => sum + rate, 0);
    },
    /** Rows committed in a second, by the flushes, which late pages get too. @param {number} now */
    rowRate(now) {
      const recent = [...flushes.values()].filter(({ at }) => at > now - COMMIT_RATE_MS);
      return (recent.reduce((sum, { rows }) => sum + rows, 0) * 1_000) / COMMIT_RATE_MS;
    },
  };
}

/**
 * The sum over all instances, since the start of each.
 *
 * @param {MeshEvent} event @param {string} figure
 */
export function total(event, figure) {
  return event.instances.reduce((sum, instance) => sum + (read(instance, figure) ?? 0), 0);
}

/**
 * The age of the oldest increment that is not committed.
 *
 * @param {MeshEvent} event
 * @returns {number | undefined} undefined if no counter service reports it
 */
export function oldestAge({ instances }) {
  const counters = instances.filter((instance) => instance.name === 'counter');
  const alive = counters.filter((counter) => !isSilent(counter));
  if (alive.length === 0) return undefined;
  const held = alive.map(({ stats }) => stats.oldest_held_ms);
  // What a counter service held when it died ages until it is delivered to another, but is not older than
  // the oldest message in the stream.
  const inStream = Math.max(...alive.map(({ activity }) => activity.stream?.oldest_age_ms ?? 0));
  const orphaned = counters
    .filter(
      (counter) => isSilent(counter) && !counter.is_stopping && counter.stats.oldest_held_ms > 0,
    )
    .map(({ stats, silent_ms: silentMs }) => Math.min(stats.oldest_held_ms + silentMs, inStream));
  return Math.max(...held, ...orphaned);
}

/** @param {Instance[]} heartbeats @param {string} figure */
function rateOf(heartbeats, figure) {
  const last = heartbeats.at(-1);
  if (last === undefined) return undefined;
  const first = heartbeats[0];
  if (first === undefined || first.uptime_ms === last.uptime_ms) return undefined;
  const grown = (read(last, figure) ?? 0) - (read(first, figure) ?? 0);
  return (grown * 1_000) / (last.uptime_ms - first.uptime_ms);
}

/** @param {Instance} instance @param {string} figure */
function has(instance, figure) {
  return read(instance, figure) !== undefined;
}

/** @param {Instance} instance @param {string} figure @returns {number | undefined} */
function read({ stats }, figure) {
  const value = Object.entries(stats).find(([name]) => name === figure)?.[1];
  return typeof value === 'number' ? value : undefined;
}
