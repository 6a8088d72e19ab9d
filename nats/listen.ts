import type { Msg, NatsConnection } from '@nats-io/transport-node';

/**
 * Listens on a subject until the returned function is called.
 *
 * What a callback throws ends the client's reading, for every subject and without a word: the service
 * would look well and be deaf. Here it is uncaught like any other error, and so ends the process.
 */
export function listen(
  connection: NatsConnection,
  subject: string,
  receive: (message: Msg) => void,
): () => void {
  const subscription = connection.subscribe(subject, {
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
