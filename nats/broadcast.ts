import type { NatsConnection } from '@nats-io/transport-node';
import { listen } from './listen.ts';

/** Where gateways tell each other what clients have asked of them. */
export const RATE_LIMIT_SUBJECT = 'mesh.rate-limit';
/** Where every service tells how it is, for the console. */
export const HEARTBEAT_SUBJECT = 'mesh.heartbeat';

/** Text to everyone who listens at the moment: core NATS, outside the streams, not stored. */
export interface Broadcast {
  publish: (text: string) => void;
  /** Listens until the returned function is called. */
  subscribe: (listener: (text: string) => void) => () => void;
}

export function createBroadcast(connection: NatsConnection, subject: string): Broadcast {
  return {
    publish: (text) => connection.publish(subject, text),
    subscribe: (listener) => listen(connection, subject, (message) => listener(message.string())),
  };
}
