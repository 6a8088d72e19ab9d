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
const RETRY_MS = 250;

/**
 * Sends a request to JetStream, and repeats it while a leader is being elected: servers are healthy before
 * their streams have a leader. Other errors are thrown at once.
 *
 * @throws NoLeader
 */
export async function retryWhileLeaderless<Answer>(
  request: () => Promise<Answer>,
  timeoutMs = ELECTION_MS_MAX,
): Promise<Answer> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await request();
    } catch (cause) {
      if (!isLeaderless(cause)) throw cause;
      if (performance.now() > deadline) {
        throw new NoLeader(
          `no broker has answered for the streams in ${timeoutMs / 1000} s (${cause.message}): the one ` +
            'server, or two of the three of a cluster, must run with JetStream and reach each other; ' +
            'check their logs',
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
  if (error instanceof errors.TimeoutError) return true;
  // The client reports it as a server without JetStream.
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof errors.RequestError && cause.isNoResponders();
}
