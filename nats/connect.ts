import { setTimeout as delay } from 'node:timers/promises';
import {
  connect,
  errors,
  type NatsConnection,
  type NodeConnectionOptions,
} from '@nats-io/transport-node';
import { parseNatsUrl } from './nats-url.ts';
import { refuseOldServer } from './server-version.ts';

/** The users of nats/roles.conf; only people are operators. */
export const NATS_ROLES = ['gateway', 'counter', 'inspector', 'provisioner', 'operator'] as const;
export type NatsRole = (typeof NATS_ROLES)[number];

export interface ConnectOptions {
  /** `nats://user:password@host:port`, several servers separated by commas. */
  url: string;
  role: NatsRole;
  /** Certificate files in PEM, for a broker with TLS. */
  tls?: NatsTlsFiles;
  /** Called after each failed first attempt; without it, the first failure is thrown. */
  onRetry?: (error: Error) => void;
  signal?: AbortSignal;
}

export interface NatsTlsFiles {
  /** Of the authority that signed the brokers' certificates; by default, the authorities of the system. */
  caFile?: string;
  /** The client's own, for brokers that verify their clients. */
  certFile?: string;
  keyFile?: string;
}

/** Thrown if the connection is given up; the message has the broker, the user and what to check. */
export class CannotConnect extends Error {
  override readonly name = 'CannotConnect';
}

const RETRY_DELAY_MS_MAX = 5_000;

/**
 * Connects, and from then on reconnects for ever, to any server that answers.
 *
 * @throws CannotConnect with role and server, but never the password: if the password is wrong or the
 * server too old, since waiting would not help, or at the first failure if there is no `onRetry`.
 */
export async function connectToNats(options: ConnectOptions): Promise<NatsConnection> {
  const { servers, credentials, isTls } = parseNatsUrl(options.url);
  const tls = isTls || options.tls !== undefined ? { tls: { ...options.tls } } : {};
  for (let attempt = 1; ; attempt++) {
    try {
      const settings: NodeConnectionOptions = {
        servers,
        ...credentials,
        ...tls,
        name: `increment-mesh ${options.role}`,
        // Permissions allow each role only its own inboxes.
        inboxPrefix: `_INBOX_${options.role}`,
        // Frames queued while connecting are sent up to this much later, so it must be short.
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
      };
      // Brokers refuse a certificate after the handshake. A client that reconnects takes that for a lost
      // connection, again and again, so a client that does not reconnect tries first.
      if (settings.tls) await (await connect({ ...settings, reconnect: false })).close();
      return await refuseOld(await connect(settings));
    } catch (cause) {
      const error = new CannotConnect(
        `can't connect to NATS at ${servers.join(', ')} as ${credentials?.user ?? 'anonymous'}: ${describeCause(cause, 'tls' in tls)}`,
        { cause },
      );
      const isPermanent = cause instanceof errors.AuthorizationError || cause instanceof OldServer;
      if (isPermanent || options.onRetry === undefined) throw error;
      options.onRetry(error);
      await delay(Math.min(RETRY_DELAY_MS_MAX, 250 * 2 ** attempt), undefined, {
        ...(options.signal && { signal: options.signal }),
      });
    }
  }
}

class OldServer extends Error {
  override readonly name = 'OldServer';
}

/** @throws OldServer */
async function refuseOld(connection: NatsConnection): Promise<NatsConnection> {
  const problem = refuseOldServer(connection.info?.version ?? '');
  if (problem === undefined) return connection;
  await connection.close();
  throw new OldServer(problem);
}

/** The error's message, with what the operator can do about it if the cause is known. */
function describeCause(cause: unknown, usesTls: boolean): string {
  const { message, code } = cause as NodeJS.ErrnoException;
  if (cause instanceof errors.AuthorizationError)
    return `${message}; check user and password in NATS_URL against those of the brokers (nats/roles.conf)`;
  if (cause instanceof errors.ConnectionError && message.includes("not support 'tls'"))
    return 'the broker does not use TLS: use nats:// and no NATS_CA_FILE, or configure TLS there';
  // A broker that refuses a certificate closes the connection, sometimes before its reason arrives.
  const pattern = usesTls
    ? /certificate|SSL|TLS|alert|ECONNRESET|EPIPE/i
    : /certificate|SSL|TLS|alert/i;
  const isTlsError = pattern.test(`${code ?? ''} ${message}`);
  return isTlsError
    ? `${message}; check NATS_CA_FILE, NATS_CERT_FILE and NATS_KEY_FILE against the brokers’ certificates`
    : message;
}

/** Whether the broker can be reached, and notice of each change. */
export interface ConnectionWatch {
  isConnected: boolean;
  /** Calls the listener at each change until the returned function is called. */
  onChange: (listener: (isConnected: boolean) => void) => () => void;
}

/** Watches a connection until it is closed. */
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

/** Resolves at the connection's next change, or after the time-out. */
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
