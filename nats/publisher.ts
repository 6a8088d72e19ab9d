import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { createInbox, headers, type Msg, type NatsConnection } from '@nats-io/transport-node';
import { connectionChange, type ConnectionWatch } from './connect.ts';
import { isErrorCode } from './error-codes.ts';
import { listen } from './listen.ts';
import { INCREMENTS } from './streams.ts';

/** A message, with the id that all attempts to store it share. */
export interface OutgoingMessage {
  subject: string;
  id: string;
  body: string;
  headers?: Record<string, string>;
  /** The W3C trace contexts of the requests whose increments it holds, if traces are on. */
  origins?: (string | undefined)[];
}

export interface Stored {
  sequence: number;
}

/** Thrown if the stream has reached its `max_bytes`: nothing was stored, and waiting may help. */
export class StreamFull extends Error {
  override readonly name = 'StreamFull';
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
  /** @throws StreamFull, PublishTimeout */
  publish: (message: OutgoingMessage, deadlineAt: number) => Promise<Stored>;
}

const RETRY_DELAY_MS = 50;
/** An attempt without an answer is repeated after this time, under the same id. */
const ATTEMPT_MS_MAX = 2_000;
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
export function createPublisher(connection: NatsConnection, watch: ConnectionWatch): Publisher {
  const inbox = createInbox('_INBOX_gateway');
  /** By the last token of the subject that their acknowledgement comes on. */
  const pending = new Map<string, (outcome: Stored | Error) => void>();

  listen(connection, `${inbox}.*`, (message) => {
    pending.get(message.subject.slice(inbox.length + 1))?.(readAcknowledgement(message));
  });
  // After a disconnection no acknowledgement arrives, so all pending attempts end.
  watch.onChange(() => {
    const lost = new Error('the connection to the broker was lost');
    for (const end of pending.values()) end(lost);
  });

  async function publish(message: OutgoingMessage, deadlineAt: number): Promise<Stored> {
    let failure: unknown;
    for (;;) {
      const remainingMs = deadlineAt - performance.now();
      if (remainingMs <= 0) {
        throw new PublishTimeout('the broker did not acknowledge in time', { cause: failure });
      }
      if (!watch.isConnected) {
        await connectionChange(watch, remainingMs);
        continue;
      }
      try {
        return await attempt(message, Math.min(remainingMs, ATTEMPT_MS_MAX));
      } catch (error) {
        // "Full" proves that nothing was stored only if no earlier attempt is in doubt.
        if (error instanceof StreamFull && failure === undefined) throw error;
        // All other errors are temporary: a time-out, a leader change, a broker that is starting.
        failure = error;
        await delay(Math.min(RETRY_DELAY_MS, Math.max(0, deadlineAt - performance.now())));
      }
    }
  }

  function attempt(message: OutgoingMessage, timeoutMs: number): Promise<Stored> {
    return new Promise((resolve, reject) => {
      // Not to be guessed: a client that knew it could direct another message's acknowledgement here.
      const token = randomUUID();
      const timer = setTimeout(end, timeoutMs, new Error('the broker did not acknowledge'));
      pending.set(token, end);
      const reply = `${inbox}.${token}`;
      connection.publish(message.subject, message.body, { reply, headers: headersOf(message) });

      function end(outcome: Stored | Error): void {
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

/**
 * The server's acknowledgement, or why there is none. On a broker without our roles any client may answer.
 */
function readAcknowledgement(message: Msg): Stored | Error {
  try {
    if (message.headers?.code === 503) return new Error(`no server has the stream ${INCREMENTS}`);
    const { seq, error } = message.json<{
      seq?: number;
      error?: { err_code: number; description: string };
    }>();
    if (error !== undefined) {
      const detail = `the stream ${INCREMENTS} refused: ${error.description} (${error.err_code})`;
      return isErrorCode(error.err_code, 'stream-full')
        ? new StreamFull(detail)
        : new Error(detail);
    }
    if (seq !== undefined) return { sequence: seq };
  } catch {
    // The headers or the JSON can't be read.
  }
  return new Error(`not an acknowledgement: ${message.string().slice(0, 100)}`);
}
