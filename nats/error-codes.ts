import { JetStreamApiError } from '@nats-io/jetstream';

/** Error codes of JetStream's API, as nats-server lists them in its errors.json. */
const CODES = {
  'no-stream': [10059],
  /** 10149: to an update. */
  'no-consumer': [10014, 10149],
  /** The server could not write the files of a consumer, such as while it still deletes those of a former one. */
  'not-made': [10012],
  /** No server for a replica, too few of them, or too little room on them. */
  'too-few-servers': [10074, 10005, 10023],
  /** More than the server, the account, or one stream of the account may hold. */
  'no-room': [10047, 10002, 10122],
  /** A stream of another name has these subjects. */
  overlap: [10065],
  /** The account has no JetStream, or the server has none. */
  'no-jetstream': [10039, 10076],
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

/**
 * Why the stream does not store.
 *
 * - `full`: it has reached a limit, and has room again once counter services have caught up.
 * - `refused`: its settings or its account forbid it, until somebody changes them.
 * - `failed`: the server could not write, so the message may be on its disk or not.
 * - `denied`: the broker does not let this user publish.
 * - `away`: no server stores the stream at the moment.
 * - `silent`: no answer.
 */
export type StoreFailure = 'full' | 'refused' | 'failed' | 'denied' | 'away' | 'silent';

interface PublishRefusal {
  failure: StoreFailure;
  /** Whether it proves that this attempt stored nothing. */
  isNothingStored: boolean;
}

/** What the server's refusals of a message mean; 10077 depends on its description. */
const PUBLISH_REFUSALS: Record<number, StoreFailure> = {
  /** Limits of the account, of a server (`max_file_store`) and of its storage. */
  10002: 'full',
  10023: 'full',
  10047: 'full',
  /** Sealed, no such stream, no JetStream for this account or at all. */
  10109: 'refused',
  10059: 'refused',
  10039: 'refused',
  10076: 'refused',
  10035: 'refused',
  /** Larger than the stream's `max_msg_size`. */
  10054: 'refused',
};
const STORE_FAILED = 10077;
/** Its other descriptions are those of the disk. */
const LIMIT_REACHED = /^maximum .* exceeded/;

/** Judges an error that the server answered to a message. What is not known is in doubt. */
export function judgePublishError(error: {
  err_code: number;
  description: string;
}): PublishRefusal {
  const known = PUBLISH_REFUSALS[error.err_code];
  if (known !== undefined) return { failure: known, isNothingStored: true };
  if (error.err_code === STORE_FAILED && LIMIT_REACHED.test(error.description))
    return { failure: 'full', isNothingStored: true };
  return {
    failure: error.err_code === STORE_FAILED ? 'failed' : 'away',
    isNothingStored: false,
  };
}
