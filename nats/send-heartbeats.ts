import type { NatsConnection } from '@nats-io/transport-node';
import type { Heartbeat } from '../schema/message/heartbeat.ts';
import type { ConnectionWatch } from './connect.ts';
import { HEARTBEAT_SUBJECT, createBroadcast } from './broadcast.ts';

/** Often enough that a console misses a service within three seconds, and next to no work. */
const ANNOUNCE_MS = 1_000;

/**
 * Tells the mesh once a second how a service is, for whoever listens.
 *
 * @returns a function that ends it with a last heartbeat, so that nobody takes a stop for a crash.
 */
export function sendHeartbeats(
  connection: NatsConnection,
  watch: ConnectionWatch,
  readHeartbeat: () => Heartbeat,
): () => Promise<void> {
  const { publish } = createBroadcast(connection, HEARTBEAT_SUBJECT);
  const tell = (isStopping: boolean) => {
    // What is published while the broker is away would be sent on the reconnection, too late.
    if (!watch.isConnected || connection.isClosed()) return;
    publish(JSON.stringify({ ...readHeartbeat(), is_stopping: isStopping }));
  };
  const timer = setInterval(tell, ANNOUNCE_MS, false);
  tell(false);
  return async () => {
    clearInterval(timer);
    tell(true);
    if (watch.isConnected) await connection.flush().catch(() => undefined);
  };
}
