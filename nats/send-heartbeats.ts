import type { NatsConnection } from '@nats-io/transport-node';
import type { Heartbeat } from '../schema/message/heartbeat.ts';
import type { ConnectionWatch } from './connect.ts';
import { HEARTBEAT_SUBJECT, openChannel } from './channel.ts';

/** A console misses a silent service within three seconds, and a heartbeat is next to no work. */
const HEARTBEAT_MS = 1_000;

/**
 * Says once a second how a service is, below its name, to those who listen.
 *
 * @returns a function that ends it with a last heartbeat, so that a stop is not taken for a crash.
 */
export function sendHeartbeats(
  connection: NatsConnection,
  watch: ConnectionWatch,
  readHeartbeat: () => Heartbeat,
): () => Promise<void> {
  const channel = openChannel(connection, HEARTBEAT_SUBJECT);
  const send = (isStopping: boolean) => {
    // What is published while the broker is away would be sent on the reconnection, too late.
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
