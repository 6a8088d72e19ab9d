import { setTimeout as delay } from 'node:timers/promises';
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import {
  connect,
  createInbox,
  errors,
  type NatsConnection,
  type NodeConnectionOptions,
  type Server,
} from '@nats-io/transport-node';
import type { NatsAccess } from './access-settings.ts';
import { describeDenial, findDenial } from './denials.ts';
import { parseNatsUrl, type NatsServers } from './nats-url.ts';
import { inboxPrefixOf } from './permissions.ts';
import type { NatsRole } from './roles.ts';
import { authenticateByFile, fileOfRole, judgeSecretFile, readExpiry } from './secret-file.ts';
import { refuseOldServer } from './server-version.ts';

export { NATS_ROLES, type NatsRole } from './roles.ts';

export interface ConnectOptions extends NatsAccess {
  /** `nats://user:password@host:port` or `nats://token@host:port`, several servers separated by commas. */
  url: string;
  role: NatsRole;
  /** Called after each failed first attempt; without it, the first failure is thrown. */
  onRetry?: (error: Error) => void;
  signal?: AbortSignal;
}

/** Thrown if the connection is given up; the message has the broker, the user and what to check. */
export class CannotConnect extends Error {
  override readonly name = 'CannotConnect';
}

/** Thrown if the server refuses the user, is too old, or lets the user hear no answers: waiting would not help. */
export class UselessConnection extends CannotConnect {}

const RETRY_DELAY_MS_MAX = 5_000;

/** What a connection was made with; the client does not show it. */
const ACCESSES = new WeakMap<NatsConnection, RoleAccess>();
type RoleAccess = NatsAccess & { role: NatsRole };

/**
 * Connects, and from then on reconnects for ever, to any server that answers.
 *
 * @throws CannotConnect with role and server, but never a secret: if the broker refuses the user or the user's
 * inbox, or is too old, since waiting would not help, or at the first failure if there is no `onRetry`.
 */
export async function connectToNats(options: ConnectOptions): Promise<NatsConnection> {
  const access = accessOfRole(options);
  const { servers, credentials, isTls } = parseNatsUrl(options.url);
  const tls = isTls || access.tls !== undefined ? { tls: { ...access.tls } } : {};
  const problem = access.secretFile && judgeSecretFile(access.secretFile).problem;
  if (problem !== undefined) throw new CannotConnect(`can't connect to NATS: ${problem}`);
  for (let attempt = 1; ; attempt++) {
    try {
      const settings: NodeConnectionOptions = {
        servers,
        ...credentials,
        ...(access.secretFile && { authenticator: authenticateByFile(access.secretFile) }),
        ...tls,
        name: `increment-mesh ${access.role}`,
        // Permissions allow each role only its own inboxes.
        inboxPrefix: inboxPrefixOf(access.role, access.inboxPrefix),
        // Frames queued while connecting are sent up to this much later, so it must be short.
        timeout: 2_000,
        pingInterval: 10_000,
        maxPingOut: 2,
        // The default gives up for good after ten attempts.
        maxReconnectAttempts: -1,
        reconnectTimeWait: 250,
        reconnectJitter: 250,
        reconnectToServer: findLeastRecentlyTried,
        // A password that is being rotated is refused for a while.
        ignoreAuthErrorAbort: true,
        noAsyncTraces: true,
      };
      // Brokers refuse a certificate after the handshake. A client that reconnects takes that for a lost
      // connection, again and again, so a client that does not reconnect tries first.
      if (settings.tls) await (await connect({ ...settings, reconnect: false })).close();
      const connection = await connect(settings);
      ACCESSES.set(connection, access);
      try {
        await refuseUseless(connection);
        return connection;
      } catch (error) {
        // It would reconnect for ever.
        await connection.close();
        throw error;
      }
    } catch (cause) {
      const reason = describeCause(cause, { access, credentials, usesTls: 'tls' in tls });
      const isLasting = isRefusedUser(cause) || cause instanceof Useless;
      const ErrorClass = isLasting ? UselessConnection : CannotConnect;
      const error = new ErrorClass(
        `can't connect to NATS at ${servers.join(', ')} ${describeUser(access, credentials)}: ${reason}`,
        { cause },
      );
      if (isLasting || options.onRetry === undefined) throw error;
      options.onRetry(error);
      await delay(Math.min(RETRY_DELAY_MS_MAX, 250 * 2 ** attempt), undefined, {
        ...(options.signal && { signal: options.signal }),
      });
    }
  }
}

/** What a connection of `connectToNats` was made with. */
export function accessOf(connection: NatsConnection): RoleAccess {
  const access = ACCESSES.get(connection);
  if (access === undefined) throw new TypeError('the connection is not one of connectToNats()');
  return access;
}

/** The client itself would first try the one that was just left. */
function findLeastRecentlyTried(servers: readonly Server[]): Server | null {
  return servers.toSorted((left, right) => left.lastConnect - right.lastConnect)[0] ?? null;
}

/** A subject below which the connection's user may hear answers. */
export function createOwnInbox(connection: NatsConnection): string {
  const { role, inboxPrefix } = accessOf(connection);
  return createInbox(inboxPrefixOf(role, inboxPrefix));
}

/** @param options.timeout of a request, in milliseconds. */
export function managerOf(
  connection: NatsConnection,
  options: { timeout: number },
): Promise<JetStreamManager> {
  const { domain } = accessOf(connection);
  return jetstreamManager(connection, {
    checkAPI: false,
    ...options,
    ...(domain !== undefined && { domain }),
  });
}

function accessOfRole({ role, tls, secretFile, inboxPrefix, domain }: ConnectOptions): RoleAccess {
  const paths = Object.entries(tls ?? {}).map(([name, path]) => [name, fileOfRole(path, role)]);
  return {
    role,
    ...(tls && { tls: Object.fromEntries(paths) as typeof tls }),
    ...(secretFile && { secretFile: { ...secretFile, path: fileOfRole(secretFile.path, role) } }),
    ...(inboxPrefix !== undefined && { inboxPrefix }),
    ...(domain !== undefined && { domain }),
  };
}

/** Why. */
class Useless extends Error {
  override readonly name = 'Useless';
}

/** @throws Useless where the server is too old, or lets the user hear no answers. */
async function refuseUseless(connection: NatsConnection): Promise<void> {
  const problem =
    refuseOldServer(connection.info?.version ?? '') ?? (await findInboxProblem(connection));
  if (problem !== undefined) throw new Useless(problem);
}

/** Without an inbox, each request would wait for its time-out. */
async function findInboxProblem(connection: NatsConnection): Promise<string | undefined> {
  let problem: string | undefined;
  const inbox = connection.subscribe(`${createOwnInbox(connection)}.*`, {
    callback: (error) => {
      const denial = findDenial(error);
      if (denial === undefined) return;
      problem = `${describeDenial(denial, accessOf(connection))}, or set NATS_INBOX_PREFIX to what it may subscribe to`;
    },
  });
  // The denial comes before the answer to this.
  await connection.flush();
  inbox.unsubscribe();
  return problem;
}

/** Never with a secret: what stands alone in a URL may be one. */
function describeUser(
  { secretFile, tls }: NatsAccess,
  credentials: NatsServers['credentials'],
): string {
  if (secretFile !== undefined) return `by ${secretFile.path}`;
  if (credentials !== undefined)
    return 'user' in credentials ? `as ${credentials.user}` : 'by a token';
  return tls?.certFile === undefined ? 'as anonymous' : `by ${tls.certFile}`;
}

interface Used {
  access: NatsAccess;
  credentials: NatsServers['credentials'];
  usesTls: boolean;
}

/** The error's message, with what the operator can do about it if the cause is known. */
function describeCause(cause: unknown, used: Used): string {
  const { message, code } = cause as NodeJS.ErrnoException;
  if (isRefusedUser(cause)) return `${message}; ${adviseOnUser(used)}`;
  if (cause instanceof errors.ConnectionError && message.includes("not support 'tls'"))
    return 'the broker does not use TLS: use nats:// and no NATS_CA_FILE, or configure TLS there';
  // A broker that refuses a certificate closes the connection, sometimes before its reason arrives.
  const pattern = used.usesTls
    ? /certificate|SSL|TLS|alert|ECONNRESET|EPIPE/i
    : /certificate|SSL|TLS|alert/i;
  const isTlsError = pattern.test(`${code ?? ''} ${message}`);
  return isTlsError
    ? `${message}; check NATS_CA_FILE, NATS_CERT_FILE and NATS_KEY_FILE against the brokers’ certificates`
    : message;
}

function isRefusedUser(cause: unknown): boolean {
  return (
    cause instanceof errors.AuthorizationError ||
    cause instanceof errors.UserAuthenticationExpiredError
  );
}

function adviseOnUser({ access: { secretFile }, credentials }: Used): string {
  if (secretFile === undefined) {
    return credentials !== undefined && 'token' in credentials
      ? 'check the token in NATS_URL against that of the brokers; a user there needs a password'
      : 'check user and password in NATS_URL against those of the brokers (nats/roles.conf)';
  }
  if (secretFile.kind !== 'creds')
    return `check the ${secretFile.kind} in the file against that of the brokers`;
  const expiry = readExpiry(secretFile) ?? Infinity;
  return expiry < Date.now()
    ? `these credentials expired at ${new Date(expiry).toISOString()}: put new ones in their place`
    : 'check that the brokers know the account of these credentials, and have not revoked them';
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
