// The headline. What is wrong with the mesh is found by the gateway; the page adds only what it alone knows.

/** @typedef {import('../../../schema/message/heartbeat.ts').MeshEvent} MeshEvent */
/** @typedef {'good' | 'warning' | 'bad' | 'unknown'} Level */
/**
 * Each text is one or more sentences; those that are empty are not shown.
 *
 * @typedef {{ level: Level, text: string, advice: string, evidence: string, runbook: string }} Verdict
 */
/**
 * @typedef {object} Seen
 * @property {MeshEvent | undefined} event the last one; undefined if there is none, or if it is too old
 * @property {number} refusal the HTTP status of a refused request for events, else 0
 * @property {string} code of that answer, where it is a gateway's
 * @property {string} detail what that answer said
 * @property {boolean} hasKey whether an API key was sent
 * @property {number} waitingMs for how long an event is awaited
 */

/** By then a gateway has heard of each service that runs. */
const LISTENING_MS_MIN = 3_500;
/** What is older is not current: events come twice a second. */
export const OLD_MS = 3_000;
/** To a hidden page they come every ten seconds, and after a while once a minute. */
export const OLD_WHILE_HIDDEN_MS = 90_000;

/** @param {Seen} seen @returns {Verdict} */
export function verdictOf({ event, refusal, code, detail, hasKey, waitingMs }) {
  if (event !== undefined) return verdictOfEvent(event);
  // What the gateway says is written for programs, and names a key that has expired.
  const said = { advice: 'Use another one.', evidence: detail };
  if (refusal === 401 && !hasKey) return only('unknown', 'This mesh requires an API key.');
  if (refusal === 401) return { ...only('warning', 'This API key is not valid here.'), ...said };
  if (refusal === 403) return { ...only('warning', 'This API key may not read.'), ...said };
  // Other answers of 503 are those of a proxy that reaches no gateway, or of one that stops.
  if (code === 'too-many-watchers') return only('unknown', 'Too many consoles are open; waiting …');
  if (waitingMs < OLD_MS) return only('unknown', 'Connecting …');
  return only('bad', 'No data: the gateway does not answer.');
}

/** @param {MeshEvent} event @returns {Verdict} */
function verdictOfEvent({ findings: [headline], instances, listening_ms: listeningMs }) {
  if (headline !== undefined) {
    const { level, cause, effect, next, evidence, runbook } = headline;
    const text = `${cause}.`;
    const seen = sentence(evidence);
    return {
      level,
      text,
      advice: `${effect}. ${next}.`,
      evidence: seen === text ? '' : seen,
      runbook,
    };
  }
  const isCounted = instances.some(({ name }) => name === 'counter');
  if (!isCounted && listeningMs < LISTENING_MS_MIN) return only('unknown', 'Listening …');
  return only('good', 'Counting: every increment is committed within ten seconds.');
}

/** With its end and a capital, for evidence is written as a part of a sentence. @param {string} text */
export function sentence(text) {
  return text === '' ? '' : `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
}

/** @param {Level} level @param {string} text @returns {Verdict} */
function only(level, text) {
  return { level, text, advice: '', evidence: '', runbook: '' };
}
