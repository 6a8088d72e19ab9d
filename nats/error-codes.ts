import { JetStreamApiError } from '@nats-io/jetstream';

/** Error codes of JetStream's API, as nats-server lists them in its errors.json. */
const CODES = {
  'no-stream': [10059],
  'no-consumer': [10014],
  /** The stream's maximum of bytes, of messages, and the server's own storage limit. */
  'stream-full': [10077, 10047, 10023],
  /** No server for a replica, too few of them, or too little room on them. */
  'too-few-servers': [10074, 10005, 10023],
  /** The server is not the leader, or the servers of a stream or consumer are away. */
  leaderless: [10009, 10118, 10119],
};

export type ErrorKind = keyof typeof CODES;

export function isErrorCode(code: number, kind: ErrorKind): boolean {
  return CODES[kind].includes(code);
}

/** Whether the broker refused for one of these reasons. */
export function isRefusal(error: unknown, ...kinds: ErrorKind[]): error is JetStreamApiError {
  return error instanceof JetStreamApiError && kinds.some((kind) => isErrorCode(error.code, kind));
}
