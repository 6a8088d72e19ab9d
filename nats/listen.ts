import type { Msg, NatsConnection, SubscriptionOptions } from '@nats-io/transport-node';

/**
 * Listens on a subject until the returned function is called; in a queue group, one of its members gets each
 * message.
 *
 * If a callback throws, the client silently stops reading, for every subject: the process looks healthy but
 * receives nothing. Here the error stays uncaught instead, and ends the process.
 */
export function listen(
  connection: NatsConnection,
  subject: string,
  receive: (message: Msg) => void,
  options: Pick<SubscriptionOptions, 'queue'> = {},
): () => void {
  const subscription = connection.subscribe(subject, {
    ...options,
    callback: (error, message) => {
      if (error !== null) return;
      try {
        receive(message);
      } catch (failure) {
        queueMicrotask(() => {
          throw failure;
        });
      }
    },
  });
  return () => subscription.unsubscribe();
}
