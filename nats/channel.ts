import type { NatsConnection } from '@nats-io/transport-node';
import { listen } from './listen.ts';
import { MESH_SUBJECT } from './streams.ts';

/** Where gateways share the limits of their clients. */
export const RATE_LIMIT_SUBJECT = `${MESH_SUBJECT}.rate-limit`;
/** Where a gateway tells the others that the stream has stored its probe. */
export const STORED_SUBJECT = `${MESH_SUBJECT}.stored`;
/** Where every service publishes its state once a second, for the console. */
export const HEARTBEAT_SUBJECT = `${MESH_SUBJECT}.heartbeat`;

/** Where gateways ask for a counter to be cleared; one counter service answers. */
export const CLEAR_SUBJECT = `${MESH_SUBJECT}.clear`;

/** Where the broker tells a gateway of the stream: a message that it only traces. */
export const TRACE_SUBJECT = `${MESH_SUBJECT}.trace`;

/** Sends text to all subscribers of the moment: core NATS, outside the streams, not stored. */
export interface Channel {
  /** @param topic below the channel's subject. */
  publish: (topic: string, text: string) => void;
  /** Listens until the returned function is called; of a pattern, the listener is told each topic. */
  subscribe: (topic: string, listener: (text: string, topic: string) => void) => () => void;
}

export function openChannel(connection: NatsConnection, subject: string): Channel {
  return {
    publish: (topic, text) => {
      // During a stop, a timer may fire after the connection is closed.
      if (!connection.isClosed()) connection.publish(`${subject}.${topic}`, text);
    },
    subscribe: (topic, listener) =>
      listen(connection, `${subject}.${topic}`, (message) =>
        listener(message.string(), message.subject.slice(subject.length + 1)),
      ),
  };
}
