/*
 * A broker of a cluster that is frozen, or cut off, keeps the connections of its clients. The client's own pings
 * need half a minute to notice; by then increments have got a 503.
 */
import { performance } from 'node:perf_hooks';
import type { NatsConnection } from '@nats-io/transport-node';
import type { ConnectionWatch } from './connect.ts';

const LOOK_MS = 1_000;
/** A broker answers a ping at once, however much it has to do. */
const SILENT_MS_MAX = 3_000;

/**
 * Connects to another broker of the cluster where the one that it is connected to says nothing for three seconds,
 * not even to a ping. Without others it stays.
 */
export function leaveSilentBroker(
  connection: NatsConnection,
  watch: ConnectionWatch,
  warn: (line: string) => void,
): void {
  let messages = 0;
  let heardAt = performance.now();
  let lookedAt = heardAt;
  const heard = () => {
    heardAt = performance.now();
  };

  function look(): void {
    const now = performance.now();
    const wasPaused = now - lookedAt > 2 * LOOK_MS;
    lookedAt = now;
    const { inMsgs } = connection.stats();
    // What came while this process was paused is still to be read.
    if (!watch.isConnected || wasPaused || inMsgs !== messages) {
      messages = inMsgs;
      heardAt = now;
    } else if (now - heardAt < SILENT_MS_MAX) void connection.flush().then(heard, () => undefined);
    else if (connection.getServers().length > 1) {
      heardAt = now;
      warn(
        `the broker ${connection.getServer()} says nothing for ${SILENT_MS_MAX / 1_000} s: ` +
          'connecting to another one of its cluster',
      );
      endConnection(connection);
    }
  }

  const timer = setInterval(look, LOOK_MS).unref();
  void connection.closed().then(() => clearInterval(timer));
}

/**
 * As if the broker had ended it, so the client connects again. Its own reconnect() first waits until the broker has
 * taken what was sent: for ever, where the buffers of the connection are full.
 */
function endConnection(connection: NatsConnection): void {
  const { protocol } = connection as unknown as {
    protocol: { transport: { close: (error: Error) => Promise<void> } };
  };
  void protocol.transport.close(new Error('the broker says nothing'));
}
