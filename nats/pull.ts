import type { Msg, MsgHdrs, NatsConnection } from '@nats-io/transport-node';
import { accessOf, createOwnInbox, type ConnectionWatch } from './connect.ts';
import { listen } from './listen.ts';
import { apiPrefixOf } from './permissions.ts';
import { COUNTER, INCREMENTS } from './streams.ts';

/** A pull that the broker does not end is given up this long after its expiry. */
const GRACE_MS = 2_000;

/** A message as the broker delivers it. */
export interface Delivery {
  data: Uint8Array;
  subject: string;
  /** Where acknowledgements go. */
  reply: string;
  sequence: number;
  deliveryCount: number;
  /** The message has a body, says its header, and it was not delivered: see `headers_only` of consumers. */
  isWithoutBody?: true;
  /** The stream's timestamp, in milliseconds since 1970 with a fraction. */
  storedAtMs: number;
  /** The W3C trace context of the publisher. */
  traceparent?: string;
}

export interface PullLimits {
  messagesMax: number;
  bytesMax: number;
  /** The broker ends the pull after this long, so that a stop need not wait longer. 0: no waiting at all. */
  expiresMs: number;
}

/** How a pull ended: no more messages, as many as it may take, no answer, or a refusal. */
export type PullEnd = 'emptied' | 'full' | 'unanswered' | { status: number; description: string };

export interface Puller {
  pull: (limits: PullLimits, onDelivery: (delivery: Delivery) => void) => Promise<PullEnd>;
  close: () => void;
}

/**
 * Pulls from the shared consumer, one pull at a time, limited in messages *and* bytes. The library's own
 * fetch takes only one of the two limits, and its consume drops unfinished deliveries when it is stopped,
 * which would come again only after `ack_wait`. Here a pull always runs to its end, so every delivery is
 * taken.
 *
 * The protocol: ADR-13 of nats-architecture-and-design.
 */
export function createPuller(connection: NatsConnection, watch: ConnectionWatch): Puller {
  const inbox = createOwnInbox(connection);
  const nextSubject = `${apiPrefixOf(accessOf(connection).domain)}.CONSUMER.MSG.NEXT.${INCREMENTS}.${COUNTER}`;
  let current: { reply: string; receive: (message: Msg) => void } | undefined;
  let pulls = 0;

  // The late end of an earlier pull is ignored; its deliveries are still taken, below.
  const close = listen(connection, `${inbox}.*`, (message) => current?.receive(message));

  function pull(limits: PullLimits, onDelivery: (delivery: Delivery) => void): Promise<PullEnd> {
    const reply = `${inbox}.${++pulls}`;
    return new Promise((resolve) => {
      let received = 0;
      const timer = setTimeout(() => end('unanswered'), limits.expiresMs + GRACE_MS);
      // A broker that was away has forgotten the pull.
      const stopListening = watch.onChange(() => end('unanswered'));
      const end = (how: PullEnd) => {
        clearTimeout(timer);
        stopListening();
        resolve(how);
      };
      current = {
        reply,
        receive: (message) => {
          const headers = readHeaders(message);
          const status = headers?.code ?? 0;
          if (message.reply !== undefined && message.reply !== '' && status === 0) {
            onDelivery(readDelivery(message, message.reply, headers));
            if (++received === limits.messagesMax) end('full');
          } else if (message.subject === reply) {
            const ending = readStatus(status, headers?.description ?? '');
            if (ending !== undefined) end(ending);
          }
        },
      };
      const request = {
        batch: limits.messagesMax,
        max_bytes: limits.bytesMax,
        expires: limits.expiresMs * 1_000_000,
        // With an expiry this means: wait for the first message, then send at once what there is.
        no_wait: true,
      };
      connection.publish(nextSubject, JSON.stringify(request), { reply });
    });
  }

  return { pull, close };
}

const EXPIRED = 408;
const NO_MESSAGES = 404;
const CONFLICT = 409;

function readStatus(status: number, description: string): PullEnd | undefined {
  if (status === 100) return undefined;
  if (status === EXPIRED || status === NO_MESSAGES) return 'emptied';
  // The same status means "the bytes are used up" and errors such as a deleted consumer.
  if (status === CONFLICT && /batch completed|exceeds maxbytes/i.test(description)) return 'full';
  return { status, description };
}

/** The server stores headers as they come; the client throws at those that it would not send itself. */
function readHeaders(message: Msg): MsgHdrs | undefined {
  try {
    return message.headers;
  } catch {
    return undefined;
  }
}

/** The reply subject contains the delivery's metadata, in an older and a newer form (ADR-15). */
function readDelivery(message: Msg, reply: string, headers: MsgHdrs | undefined): Delivery {
  const tokens = reply.split('.');
  const offset = tokens.length === 9 ? 4 : 6;
  const traceparent = headers?.get('traceparent') ?? '';
  const isWithoutBody = message.data.length === 0 && Number(headers?.get('Nats-Msg-Size') ?? 0) > 0;
  return {
    data: message.data,
    subject: message.subject,
    reply,
    deliveryCount: Number(tokens[offset]),
    sequence: Number(tokens[offset + 1]),
    storedAtMs: Number(tokens[offset + 3]) / 1e6,
    ...(isWithoutBody && { isWithoutBody }),
    ...(traceparent !== '' && { traceparent }),
  };
}
