// The state of the mesh in one sentence.

import { isSilent } from './history.js';

/** @typedef {import('../../../schema/message/heartbeat.ts').MeshEvent} MeshEvent */
/** @typedef {{ level: 'good' | 'warning' | 'bad' | 'unknown', text: string }} Verdict */

/** The table is never further behind while the mesh is healthy. */
export const STALENESS_MS_MAX = 10_000;
/** By then every running service has sent a heartbeat. */
const LISTENING_MS_MIN = 1_500;

/** @param {MeshEvent} event @param {number | undefined} ageMs @returns {Verdict} */
export function judge(event, ageMs) {
  const counters = event.instances.filter(({ name }) => name === 'counter');
  const alive = counters.filter((counter) => !isSilent(counter));
  const isDatabaseAway = alive.some(
    (counter) => counter.name === 'counter' && !counter.activity.database_connected,
  );
  if (!event.broker_connected) {
    return bad('The broker is away: increments are refused until it is back.');
  }
  const problem = findStoreProblem(event);
  if (problem !== undefined) {
    return bad(`Increments are refused: ${problem.reason}. ${upperFirst(problem.remedy)}.`);
  }
  if (alive.length === 0) {
    if (event.listening_ms < LISTENING_MS_MIN) return { level: 'unknown', text: 'Listening …' };
    return bad('No counter service runs: increments are accepted and wait in the stream.');
  }
  const stop = alive.find(
    (counter) => counter.name === 'counter' && counter.activity.counting_problem !== undefined,
  );
  if (stop?.name === 'counter') {
    return bad(`Nothing is counted. ${upperFirst(stop.activity.counting_problem ?? '')}.`);
  }
  if (isDatabaseAway) {
    return bad('PostgreSQL is away: increments are accepted and wait in the stream.');
  }
  if (ageMs !== undefined && ageMs > STALENESS_MS_MAX) {
    return bad('Late: some increments have waited for longer than ten seconds.');
  }
  const parked = Math.max(
    0,
    ...alive.map(
      (counter) => (counter.name === 'counter' && counter.activity.parked_messages) || 0,
    ),
  );
  if (parked > 0) {
    return {
      level: 'warning',
      text: `Counting, but ${parked} messages of a newer version wait for newer counter services.`,
    };
  }
  const missing = event.instances.filter(
    (instance) => isSilent(instance) && !instance.is_stopping,
  ).length;
  if (missing > 0) {
    return {
      level: 'warning',
      text: `Counting, but ${missing === 1 ? 'one instance is' : `${missing} instances are`} silent.`,
    };
  }
  return { level: 'good', text: 'Counting: every increment is committed within ten seconds.' };
}

/** Of the gateway that reports, or else of another one. @param {MeshEvent} event */
function findStoreProblem(event) {
  const gateways = event.instances
    .filter((instance) => instance.name === 'gateway' && !isSilent(instance))
    .toSorted(
      (left, right) =>
        Number(right.id === event.reported_by) - Number(left.id === event.reported_by),
    );
  for (const gateway of gateways) {
    if (gateway.name === 'gateway' && gateway.stats.store_problem !== undefined)
      return gateway.stats.store_problem;
  }
  return undefined;
}

/** @param {string} text */
function upperFirst(text) {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** @param {string} text @returns {Verdict} */
function bad(text) {
  return { level: 'bad', text };
}
