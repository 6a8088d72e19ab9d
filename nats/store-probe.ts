import { randomUUID } from 'node:crypto';
import { headers, type NatsConnection } from '@nats-io/transport-node';
import { createOwnInbox } from './connect.ts';
import { listen } from './listen.ts';
import { AttemptFailed, readAcknowledgement, type OnAttempt } from './publisher.ts';
import { HTTP_SUBJECT } from './streams.ts';

/** Stores a message that adds nothing, to see whether the stream stores. */
export interface StoreProbe {
  /** @param body an envelope without increments, with this id. */
  send: (id: string, body: string) => void;
}

/** An answer that comes later than this many probes is nobody's. */
const PENDING_MAX = 8;
const ANSWER_MS_MAX = 2_000;

/**
 * Unlike an increment's publish, it waits for no answer: a late one still shows that the stream stores.
 *
 * @param onOutcome called for each answer, and once for each probe without one for two seconds.
 */
export function createStoreProbe(connection: NatsConnection, onOutcome: OnAttempt): StoreProbe {
  const inbox = createOwnInbox(connection);
  /** By the last token of the subject that the answer comes on, in the order of sending. */
  const pending = new Map<string, NodeJS.Timeout>();

  listen(connection, `${inbox}.*`, (message) => {
    const token = message.subject.slice(inbox.length + 1);
    const timer = pending.get(token);
    if (timer === undefined) return;
    clearTimeout(timer);
    pending.delete(token);
    const outcome = readAcknowledgement(message);
    onOutcome(outcome instanceof AttemptFailed ? outcome : undefined);
  });

  return {
    send: (id, body) => {
      if (connection.isClosed()) return;
      // Not to be guessed: a client that knew it could say that the stream stores.
      const token = randomUUID();
      const isLate = () => onOutcome(new AttemptFailed('silent', ''));
      pending.set(token, setTimeout(isLate, ANSWER_MS_MAX).unref());
      for (const oldest of pending.keys()) {
        if (pending.size <= PENDING_MAX) break;
        clearTimeout(pending.get(oldest));
        pending.delete(oldest);
      }
      const natsHeaders = headers();
      natsHeaders.set('Nats-Msg-Id', id);
      connection.publish(HTTP_SUBJECT, body, { reply: `${inbox}.${token}`, headers: natsHeaders });
    },
  };
}
