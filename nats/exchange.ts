import type { NatsConnection } from '@nats-io/transport-node';

/** Where gateways tell each other what clients have asked of them. */
export const RATE_LIMIT_SUBJECT = 'mesh.rate-limit';

/** Text to everyone who listens at the moment: core NATS, outside the streams, not stored. */
export function createExchange(connection: NatsConnection, subject: string) {
  return {
    publish: (text: string) => connection.publish(subject, text),
    subscribe: (listener: (text: string) => void) => {
      connection.subscribe(subject, {
        callback: (error, message) => {
          if (error === null) listener(message.string());
        },
      });
    },
  };
}
