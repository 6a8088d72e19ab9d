import { setTimeout as delay } from 'node:timers/promises';
import { JetStreamApiError } from '@nats-io/jetstream';
import { errors } from '@nats-io/transport-node';
import { isRefusal } from './error-codes.ts';

/** Thrown if no server has led the streams for longer than an election takes; says what to do. */
export class NoLeader extends Error {
  override readonly name = 'NoLeader';
}

/** Followers wait 4 to 9 s before they elect a leader, and again where the vote is split. */
const ELECTION_MS_MAX = 30_000;
/** Of no JetStream at all: more than a server needs that has just started. */
const NO_JETSTREAM_MS_MAX = 3_000;
/** Of servers that are not there yet, or are known and away: a cluster that starts has its leader first. */
const NO_PEERS_MS_MAX = 15_000;
const NO_PEERS = /^no suitable peers for placement(, (peer offline|miscellaneous issue))*$/;
const RETRY_MS = 250;

/**
 * Sends a request to JetStream, and repeats it while a leader is being elected: servers are healthy before
 * their streams have a leader, and have one before all of them are there. Other errors are thrown at once.
 *
 * @throws NoLeader
 */
export async function retryWhileLeaderless<Answer>(
  request: () => Promise<Answer>,
  timeoutMs = ELECTION_MS_MAX,
): Promise<Answer> {
  const startedAt = performance.now();
  for (;;) {
    try {
      return await request();
    } catch (cause) {
      const passedMs = performance.now() - startedAt;
      if (isWithoutPeers(cause) && passedMs <= Math.min(timeoutMs, NO_PEERS_MS_MAX)) {
        await delay(RETRY_MS);
        continue;
      }
      if (!isLeaderless(cause)) throw cause;
      const isAbsent = isWithoutJetStream(cause);
      const waitMs = isAbsent ? Math.min(timeoutMs, NO_JETSTREAM_MS_MAX) : timeoutMs;
      if (passedMs > waitMs) {
        const remedy = isAbsent
          ? 'enable JetStream for the account, and set NATS_JETSTREAM_DOMAIN if it has a domain'
          : 'the one server, or two of the three of a cluster, must run with JetStream and reach each ' +
            'other; check their logs';
        throw new NoLeader(
          `no broker has answered for the streams in ${waitMs / 1000} s (${messagesOf(cause)}): ${remedy}`,
          { cause },
        );
      }
    }
    await delay(RETRY_MS);
  }
}

/** Without a leader a request gets no answer, or an error that says so. */
function isLeaderless(error: unknown): error is Error {
  if (error instanceof JetStreamApiError) {
    const isAway = error.status === 503 || isRefusal(error, 'leaderless');
    return isAway && !isRefusal(error, 'too-few-servers');
  }
  return error instanceof errors.TimeoutError || isWithoutJetStream(error);
}

/** Servers that have too little room, or other tags, are told at once. */
function isWithoutPeers(error: unknown): boolean {
  return isRefusal(error, 'too-few-servers') && NO_PEERS.test(error.message);
}

/** Nobody listens where JetStream would, or a server says that it is not enabled. */
function isWithoutJetStream(error: unknown): error is Error {
  if (isRefusal(error, 'no-jetstream')) return true;
  const cause = error instanceof Error ? error.cause : undefined;
  return (
    isRefusal(cause, 'no-jetstream') ||
    (cause instanceof errors.RequestError && cause.isNoResponders())
  );
}

/** With the subject that was asked in vain, which the cause has. */
function messagesOf({ message, cause }: Error): string {
  return cause instanceof Error && cause.message !== message
    ? `${message}: ${cause.message}`
    : message;
}
