import type { NatsConnection } from '@nats-io/transport-node';
import { listen } from './listen.ts';

/** Where gateways share their clients' limits. */
export const RATE_LIMIT_SUBJECT = 'mesh.rate-limit';
/** Where every service says once a second how it is, for the console. */
export const HEARTBEAT_SUBJECT = 'mesh.heartbeat';

/** Text to everyone who listens at the moment: core NATS, outside the streams, not stored. */
export interface Channel {
  /** @param topic below the channel's subject. */
  publish: (topic: string, text: string) => void;
  /** Listens until the returned function is called. */
  subscribe: (topic: string, listener: (text: string) => void) => () => void;
}

export function openChannel(connection: NatsConnection, subject: string): Channel {
  return {
    publish: (topic, text) => {
      // At a stop a timer may come later than the end of the connection.
      if (!connection.isClosed()) connection.publish(`${subject}.${topic}`, text);
    },
    subscribe: (topic, listener) =>
      listen(connection, `${subject}.${topic}`, (message) => listener(message.string())),
  };
}
