/** Values of OpenTelemetry's semantic conventions that more than one file uses. */

/**
 * Bounds for durations in seconds, for HTTP, messaging and databases: those of the conventions, and two
 * below them, since a message is on disk in about a millisecond.
 */
export const SECONDS_BUCKETS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
];

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']);

/** `http.request.method`. All others share one value, so that no client makes series or names of spans. */
export function methodOf(method: string): string {
  return METHODS.has(method) ? method : '_OTHER';
}
