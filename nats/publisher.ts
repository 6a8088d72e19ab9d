import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Span } from '@opentelemetry/api';
import { headers, type Msg, type NatsConnection } from '@nats-io/transport-node';
import { connectionChange, createOwnInbox, type ConnectionWatch } from './connect.ts';
import { judgePublishError, type StoreFailure } from './error-codes.ts';
import { listen } from './listen.ts';
import { INCREMENTS } from './streams.ts';

/** A message, with the id that all attempts to store it share. */
export interface OutgoingMessage {
  subject: string;
  id: string;
  body: string;
  headers?: Record<string, string>;
  /** The spans of the requests whose increments it holds, if traces are on. */
  origins?: (Span | undefined)[];
}

export interface Stored {
  sequence: number;
}

/** An attempt that was not acknowledged, and why. */
export class AttemptFailed extends Error {
  override readonly name = 'AttemptFailed';
  readonly failure: StoreFailure;
  /** Otherwise it is in doubt. */
  readonly isNothingStored: boolean;

  constructor(failure: StoreFailure, detail: string, isNothingStored = false) {
    super(detail);
    this.failure = failure;
    this.isNothingStored = isNothingStored;
  }
}

/** Thrown if no attempt has stored anything, for certain. */
export class NothingStored extends Error {
  override readonly name = 'NothingStored';
  readonly failure: StoreFailure;

  constructor(failure: StoreFailure, detail: string) {
    super(detail);
    this.failure = failure;
  }
}

/** Thrown at the deadline: the message may or may not have been stored. */
export class PublishTimeout extends Error {
  override readonly name = 'PublishTimeout';
}

/** What group commit needs of the broker. */
export interface Publisher {
  readonly isConnected: boolean;
  /** The largest body, in bytes, that the broker accepts. */
  readonly bodyBytesMax: number;
  onConnectionChange: (listener: (isConnected: boolean) => void) => void;
  /** @throws NothingStored, PublishTimeout */
  publish: (message: OutgoingMessage, deadlineAt: number) => Promise<Stored>;
}

/** Called with the outcome of each attempt: undefined if it stored. */
export type OnAttempt = (error: AttemptFailed | undefined) => void;

const RETRY_DELAY_MS = 50;
/** What no other attempt changes within a deadline. */
const LASTING: ReadonlySet<StoreFailure> = new Set(['full', 'refused']);
/** An attempt without an answer is repeated after this time, under the same id. */
const ATTEMPT_MS_MAX = 2_000;
/** An answer may take so long on a busy machine. */
const ANSWER_MS_MIN = 200;
/** Room for the protocol line and the headers of a message. */
const HEADER_BYTES = 4_096;

/**
 * Publishes to JetStream until the broker acknowledges, in attempts that share one message id: the stream
 * drops copies that it still knows, the ledger refuses the rest.
 *
 * The client's own publish makes several promises and an error for each message, which cost more than the
 * message; here it takes a subject for replies and a map.
 *
 * @param deadlineAt a time of `performance.now()`. No attempt starts after it or while disconnected: the
 * client would send the message later, long after its request was answered.
 */
export function createPublisher(
  connection: NatsConnection,
  watch: ConnectionWatch,
  onAttempt: OnAttempt = () => undefined,
): Publisher {
  const inbox = createOwnInbox(connection);
  /** By the last token of the subject that their acknowledgement comes on. */
  const pending = new Map<string, (outcome: Stored | AttemptFailed) => void>();

  listen(connection, `${inbox}.*`, (message) => {
    pending.get(message.subject.slice(inbox.length + 1))?.(readAcknowledgement(message));
  });
  // After a disconnection no acknowledgement arrives, so all pending attempts end.
  watch.onChange(() => {
    const lost = new AttemptFailed('away', 'the connection to the broker was lost');
    for (const end of pending.values()) end(lost);
  });

  async function publish(message: OutgoingMessage, deadlineAt: number): Promise<Stored> {
    let failure: AttemptFailed | undefined;
    let isInDoubt = false;
    for (;;) {
      const remainingMs = deadlineAt - performance.now();
      // An attempt that can hardly be answered in time would only put in doubt what is known.
      const isKnown = failure !== undefined && !isInDoubt;
      if (remainingMs <= (isKnown ? ANSWER_MS_MIN : 0)) throw failedAtDeadline(failure, isInDoubt);
      if (!watch.isConnected) {
        await connectionChange(watch, remainingMs);
        continue;
      }
      try {
        const stored = await attempt(message, Math.min(remainingMs, ATTEMPT_MS_MAX));
        onAttempt(undefined);
        return stored;
      } catch (error) {
        failure = error as AttemptFailed;
        // What the lost connection left open tells nothing of the stream.
        if (watch.isConnected) onAttempt(failure);
        isInDoubt ||= !failure.isNothingStored;
        // That this attempt stored nothing proves it of the message only if no other is in doubt.
        if (LASTING.has(failure.failure) && !isInDoubt)
          throw new NothingStored(failure.failure, failure.message);
        // All other errors are temporary: a time-out, a leader change, a broker that is starting.
        await delay(Math.min(RETRY_DELAY_MS, Math.max(0, deadlineAt - performance.now())));
      }
    }
  }

  function attempt(message: OutgoingMessage, timeoutMs: number): Promise<Stored> {
    return new Promise((resolve, reject) => {
      // Not to be guessed: a client that knew it could direct another message's acknowledgement here.
      const token = randomUUID();
      // The error is made only where it is needed: its stack costs more than the rest of an attempt.
      const timer = setTimeout(() => {
        end(new AttemptFailed('silent', 'the broker did not acknowledge'));
      }, timeoutMs);
      pending.set(token, end);
      const reply = `${inbox}.${token}`;
      connection.publish(message.subject, message.body, { reply, headers: headersOf(message) });

      function end(outcome: Stored | AttemptFailed): void {
        clearTimeout(timer);
        pending.delete(token);
        if (outcome instanceof Error) reject(outcome);
        else resolve(outcome);
      }
    });
  }

  return {
    get isConnected() {
      return watch.isConnected;
    },
    get bodyBytesMax() {
      return (connection.info?.max_payload ?? 1_048_576) - HEADER_BYTES;
    },
    onConnectionChange: watch.onChange,
    publish,
  };
}

function headersOf(message: OutgoingMessage) {
  const natsHeaders = headers();
  natsHeaders.set('Nats-Msg-Id', message.id);
  for (const name in message.headers) natsHeaders.set(name, message.headers[name] ?? '');
  return natsHeaders;
}

function failedAtDeadline(failure: AttemptFailed | undefined, isInDoubt: boolean): Error {
  if (!isInDoubt)
    return new NothingStored(
      failure?.failure ?? 'away',
      failure?.message ?? `no server with the stream ${INCREMENTS} was reached in time`,
    );
  return new PublishTimeout('the broker did not acknowledge in time', { cause: failure });
}

/**
 * The server's acknowledgement, or why there is none. On a broker without our roles any client may answer.
 */
export function readAcknowledgement(message: Msg): Stored | AttemptFailed {
  try {
    if (message.headers?.code === 503)
      return new AttemptFailed('away', `no server has the stream ${INCREMENTS}`, true);
    const { seq, error } = message.json<{
      seq?: number;
      error?: { err_code: number; description: string };
    }>();
    if (error !== undefined) {
      const { failure, isNothingStored } = judgePublishError(error);
      const detail = `${error.description} (${error.err_code})`;
      return new AttemptFailed(failure, detail, isNothingStored);
    }
    if (seq !== undefined) return { sequence: seq };
  } catch {
    // The headers or the JSON can't be read.
  }
  return new AttemptFailed('silent', `not an acknowledgement: ${message.string().slice(0, 100)}`);
}
