import { setTimeout as delay } from 'node:timers/promises';
import { jetstream, JetStreamApiError } from '@nats-io/jetstream';
import { headers, type NatsConnection } from '@nats-io/transport-node';
import { connectionChange, type ConnectionWatch } from './connect.ts';
import { INCREMENTS } from './topology.ts';

/** A message with the id under which every attempt to store it is made. */
export interface OutgoingMessage {
  subject: string;
  id: string;
  body: string;
  headers?: Record<string, string>;
  /** The W3C trace contexts of the requests whose increments it holds, where traces are on. */
  origins?: (string | undefined)[];
}

export interface Stored {
  sequence: number;
}

/** Raised where the stream has reached its `max_bytes`: nothing was stored, and waiting may help. */
export class StreamFull extends Error {
  override readonly name = 'StreamFull';
}

/** Raised at the deadline: the message may or may not have been stored. */
export class PublishTimeout extends Error {
  override readonly name = 'PublishTimeout';
}

/** What group commit needs of the broker. */
export interface Publisher {
  readonly isConnected: boolean;
  /** The largest body, in bytes, that the broker takes. */
  readonly bodyBytesMax: number;
  onConnectionChange: (listener: (isConnected: boolean) => void) => void;
  /** @throws StreamFull, PublishTimeout */
  publish: (message: OutgoingMessage, deadlineMs: number) => Promise<Stored>;
}

/** Maximum bytes, maximum messages, and the server's own storage limit. */
const STREAM_FULL_CODES = new Set([10077, 10047, 10023]);

const RETRY_DELAY_MS = 50;
/** An attempt that is not answered in this time is made again, under the same id. */
const ATTEMPT_MS_MAX = 2_000;
/** Room for the protocol line and the headers of a message. */
const HEADER_BYTES = 4_096;

/**
 * Publishes to JetStream until the broker has acknowledged, in attempts that share one message id:
 * the stream drops the copies it still knows, the ledger refuses the rest.
 *
 * @param deadlineMs a time of `performance.now()`. No attempt starts after it or while disconnected,
 * since the client would send such a frame later, long after its request was answered.
 */
export function createPublisher(connection: NatsConnection, watch: ConnectionWatch): Publisher {
  const client = jetstream(connection, { timeout: ATTEMPT_MS_MAX });
  const underWay: ((error: Error) => void)[] = [];
  watch.onChange(() => {
    for (const fail of underWay) fail(new Error('the connection to the broker was lost'));
  });

  async function publish(message: OutgoingMessage, deadlineMs: number): Promise<Stored> {
    let failure: unknown;
    for (;;) {
      const remainingMs = deadlineMs - performance.now();
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
        const isFull = error instanceof JetStreamApiError && STREAM_FULL_CODES.has(error.code);
        // Only where no earlier attempt is in doubt does "full" mean that nothing was stored.
        if (isFull && failure === undefined) {
          throw new StreamFull(`the stream ${INCREMENTS} is full`, { cause: error });
        }
        // Everything else passes: a time-out, a leader change, a broker that is just starting.
        failure = error;
        await delay(Math.min(RETRY_DELAY_MS, Math.max(0, deadlineMs - performance.now())));
      }
    }
  }

  /** A connection that breaks answers nothing any more, so the attempt ends with it. */
  function attempt(message: OutgoingMessage, timeoutMs: number): Promise<Stored> {
    const natsHeaders = headers();
    for (const [name, value] of Object.entries(message.headers ?? {})) natsHeaders.set(name, value);
    const acknowledged = client.publish(message.subject, message.body, {
      msgID: message.id,
      headers: natsHeaders,
      timeout: Math.max(1, Math.ceil(timeoutMs)),
    });
    return new Promise<Stored>((resolve, reject) => {
      underWay.push(reject);
      acknowledged
        .then(({ seq }) => resolve({ sequence: seq }), reject)
        .finally(() => underWay.splice(underWay.indexOf(reject), 1));
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
