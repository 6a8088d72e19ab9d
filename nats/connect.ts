import { setTimeout as delay } from 'node:timers/promises';
import { connect, errors, type NatsConnection } from '@nats-io/transport-node';

export type NatsRole = 'gateway' | 'counter' | 'inspector' | 'provisioner';

export interface ConnectOptions {
  /** `nats://user:password@host:port`, several servers separated by commas. */
  url: string;
  role: NatsRole;
  /** Told of each failed first attempt; without it the first failure is thrown. */
  onRetry?: (error: Error) => void;
  signal?: AbortSignal;
}

const RETRY_DELAY_MS_MAX = 5_000;

/**
 * Connects and then stays connected: the client reconnects for ever, to whichever server answers.
 *
 * @throws Error that names the role and server, never the password, where the password is wrong
 * (waiting would not cure it), or at the first failure where no `onRetry` is given.
 */
export async function connectToNats(options: ConnectOptions): Promise<NatsConnection> {
  const { servers, credentials } = parseUrl(options.url);
  for (let attempt = 1; ; attempt++) {
    try {
      return await connect({
        servers,
        ...credentials,
        name: `increment-mesh ${options.role}`,
        // Permissions give each role replies on its own inboxes only.
        inboxPrefix: `_INBOX_${options.role}`,
        // Frames queued while dialing are sent up to this much later, so it must be short.
        timeout: 2_000,
        pingInterval: 10_000,
        maxPingOut: 2,
        // The default gives up for good after ten attempts.
        maxReconnectAttempts: -1,
        reconnectTimeWait: 250,
        reconnectJitter: 250,
        // A password that is being rotated is refused for a while.
        ignoreAuthErrorAbort: true,
        noAsyncTraces: true,
      });
    } catch (cause) {
      const error = new Error(
        `can't connect to NATS at ${servers.join(', ')} as ${credentials?.user ?? 'anonymous'}: ${(cause as Error).message}`,
        { cause },
      );
      if (cause instanceof errors.AuthorizationError || options.onRetry === undefined) throw error;
      options.onRetry(error);
      await delay(Math.min(RETRY_DELAY_MS_MAX, 250 * 2 ** attempt), undefined, {
        ...(options.signal && { signal: options.signal }),
      });
    }
  }
}

/** Whether the broker can be reached, and who wants to know when that changes. */
export interface ConnectionWatch {
  isConnected: boolean;
  /** Calls the listener at each change until the returned function is called. */
  onChange: (listener: (isConnected: boolean) => void) => () => void;
}

/** Follows a connection's state for as long as it lives. */
export function watchConnection(connection: NatsConnection): ConnectionWatch {
  const listeners = new Set<(isConnected: boolean) => void>();
  const watch: ConnectionWatch = {
    isConnected: true,
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const follow = async () => {
    for await (const status of connection.status()) {
      if (status.type !== 'disconnect' && status.type !== 'reconnect') continue;
      watch.isConnected = status.type === 'reconnect';
      for (const listener of Array.from(listeners)) listener(watch.isConnected);
    }
  };
  void follow();
  return watch;
}

/** Resolves at the connection's next change, or after the time given. */
export function connectionChange(watch: ConnectionWatch, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    const stopListening = watch.onChange(done);
    const timer = setTimeout(done, timeoutMs);
    function done() {
      clearTimeout(timer);
      stopListening();
      resolve();
    }
  });
}

/** The client takes user and password as options, not in the URL. */
function parseUrl(url: string): {
  servers: string[];
  credentials?: { user: string; pass: string };
} {
  const urls = url.split(',').map((part) => new URL(part.trim()));
  const servers = urls.map(({ hostname, port }) => `${hostname}:${port === '' ? 4222 : port}`);
  const first = urls[0];
  if (first === undefined || first.username === '') return { servers };
  const user = decodeURIComponent(first.username);
  const pass = decodeURIComponent(first.password);
  return { servers, credentials: { user, pass } };
}
