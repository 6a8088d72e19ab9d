import type { NatsConnection } from '@nats-io/transport-node';
import type { Heartbeat } from '../schema/message/heartbeat.ts';
import type { ConnectionWatch } from './connect.ts';
import { HEARTBEAT_SUBJECT, openChannel } from './channel.ts';

/** A console notices a silent service within three seconds, and a heartbeat is cheap. */
const HEARTBEAT_MS = 1_000;

/**
 * Publishes a service's heartbeat once a second, under its name.
 *
 * @returns a function that ends this with a last heartbeat, so that a stop does not look like a crash.
 */
export function sendHeartbeats(
  connection: NatsConnection,
  watch: ConnectionWatch,
  readHeartbeat: () => Heartbeat,
): () => Promise<void> {
  const channel = openChannel(connection, HEARTBEAT_SUBJECT);
  const send = (isStopping: boolean) => {
    // The client would send it at the reconnection, too late.
    if (!watch.isConnected) return;
    const heartbeat = readHeartbeat();
    channel.publish(heartbeat.name, JSON.stringify({ ...heartbeat, is_stopping: isStopping }));
  };
  const timer = setInterval(send, HEARTBEAT_MS, false);
  send(false);
  return async () => {
    clearInterval(timer);
    send(true);
    if (watch.isConnected) await connection.flush().catch(() => undefined);
  };
}
