import { Socket } from 'node:net';
import type { PostgresPool, PostgresPoolClient } from 'kysely';
import pg from 'pg';
import { ConfigurationError } from '../settings/environment.ts';
import { readTlsOptions } from './database-tls.ts';
import {
  describeDatabaseServer,
  isSocket,
  parseDatabaseUrl,
  type DatabaseAddress,
  type DatabaseServer,
} from './database-url.ts';
import { parametersOf } from './database-url-parameters.ts';
import { clientClass } from './driver.ts';
import { ownSession, type SessionSettings } from './owned-session.ts';

/** Time to connect, unless the URL says it, and to check whether the server is the primary. */
const CONNECT_MS_MAX = 3_000;
/** The pool closes a connection that was unused for this long. */
const IDLE_MS_MAX = 10_000;
/** No session is trusted for longer, whatever was changed in it or for it. */
const SESSION_SECONDS_MAX = 60;
/** A silent connection is closed this long after the idle limit or the time-out of its query. */
const SILENCE_MARGIN_MS = 1_000;

export type PoolOptions = pg.PoolConfig & {
  query_timeout: number;
  /** Of each transaction (owned-session.ts); those in the URL's `options` win. */
  settings?: SessionSettings | undefined;
  onBrokenConnection: (error: Error) => void;
};

/**
 * A pool on the server of a URL, or on the primary of several: each new connection tries the server that
 * answered last and, if that is away or a standby by now, the next ones. Each server gets twice
 * CONNECT_MS_MAX at most, so trying them all is bounded.
 */
export function openPool(url: string, options: PoolOptions): PostgresPool {
  const address = parseDatabaseUrl(url);
  const { needsPrimary } = address;
  const owned = options.settings && { ...inLowerCase(options.settings), ...ownOptions(address) };
  const servers = address.servers.map((server) => openServer(address, server, options));
  let current = 0;

  async function connect(): Promise<PostgresPoolClient> {
    const client = servers.length === 1 ? await servers[0]!.connect() : await connectToOne();
    return owned ? ownSession(client, owned) : client;
  }

  async function connectToOne(): Promise<pg.PoolClient> {
    const first = current;
    const failures: string[] = [];
    let cause: unknown;
    for (let step = 0; step < servers.length; step++) {
      const index = (first + step) % servers.length;
      try {
        const client = await servers[index]!.connect();
        current = index;
        return client;
      } catch (error) {
        cause = error;
        const { message, code } = error as NodeJS.ErrnoException;
        const server = describeDatabaseServer(address.servers[index]!);
        failures.push(`${server}/${address.database} ${message || code || 'failed'}`);
      }
    }
    const wanted = needsPrimary ? 'is a primary that answers' : 'answers';
    throw new Error(`no server of DATABASE_URL ${wanted}: ${failures.join('; ')}`, { cause });
  }

  return {
    options: {},
    connect,
    end: async () => void (await Promise.all(servers.map((server) => server.end()))),
  };
}

/** @throws ConfigurationError for what the mesh decides itself. */
function ownOptions({ settings }: DatabaseAddress): SessionSettings {
  if (settings['search_path'] === undefined) return settings;
  throw new ConfigurationError([
    'search_path is in the options of a database URL: take it out, and set DATABASE_SCHEMA to that schema',
  ]);
}

interface Server {
  connect: () => Promise<pg.PoolClient>;
  end: () => Promise<void>;
}

/** As libpq, `allow` and `prefer` try it the other way too where the server refuses. */
function openServer(
  address: DatabaseAddress,
  server: DatabaseServer,
  options: PoolOptions,
): Server {
  const { mode } = address.tls;
  const isPlain = mode === 'disable' || isSocket(server.host);
  const both = mode === 'allow' ? [false, true] : [true, false];
  const isEncrypted = isPlain ? [false] : mode === 'allow' || mode === 'prefer' ? both : [true];
  const pools = isEncrypted.map((one) => openOne({ address, server, isEncrypted: one }, options));
  let current = 0;

  return {
    end: async () => void (await Promise.all(pools.map((pool) => pool.end()))),
    connect: async () => {
      const first = current;
      const other = pools[1 - first];
      try {
        return await pools[first]!.connect();
      } catch (error) {
        if (other === undefined || !isRefusal(error)) throw naming(address.user, error);
      }
      try {
        const client = await other.connect();
        current = 1 - first;
        return client;
      } catch (error) {
        throw naming(address.user, error);
      }
    },
  };
}

/** PgBouncer's SQLSTATE for all that it refuses. */
const BY_POOLER = '08P01';

/** Poolers refuse a user without saying which. */
function naming(user: string, error: unknown): unknown {
  if (error instanceof pg.DatabaseError && error.code === BY_POOLER) {
    error.message += ` (user "${user}")`;
  }
  return error;
}

/** Whether a server that is there does not want this connection. */
function isRefusal(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return true;
  const { code = '', message } = error as NodeJS.ErrnoException;
  // The client library has no code for it.
  return (
    /^ERR_(?:SSL|TLS)_/.test(code) || message === 'The server does not support SSL connections'
  );
}

function openOne(
  to: { address: DatabaseAddress; server: DatabaseServer; isEncrypted: boolean },
  options: PoolOptions,
): pg.Pool {
  const { onBrokenConnection, settings, ...others } = options;
  const { address, server, isEncrypted } = to;
  const { connectTimeoutS, applicationName, tls, user, password, database } = address;
  const timeoutMs = connectTimeoutS === undefined ? CONNECT_MS_MAX : connectTimeoutS * 1_000;
  const pool = new pg.Pool({
    ...others,
    idleTimeoutMillis: IDLE_MS_MAX,
    connectionTimeoutMillis: timeoutMs,
    maxLifetimeSeconds: SESSION_SECONDS_MAX,
    stream: () => createSocket(Math.max(others.query_timeout, IDLE_MS_MAX) + SILENCE_MARGIN_MS),
    ...(address.needsPrimary && { verify: refuseStandby }),
    ...(applicationName !== undefined && { application_name: applicationName }),
    // Whoever owns the session sends them with each transaction, since poolers refuse them here.
    ...(settings === undefined && { options: parametersOf(address).options }),
    Client: clientClass(() => ({
      ...server,
      user,
      password,
      database,
      ssl: isEncrypted ? readTlsOptions(tls)! : false,
      ...(isEncrypted && tls.isDirect && { sslnegotiation: 'direct' }),
    })),
  });
  // The pool handles errors of its clients only while they are idle. A connection that breaks between two
  // statements of a transaction would end the process; the next statement fails by itself.
  pool.on('connect', (client) => client.on('error', onBrokenConnection));
  pool.on('error', () => undefined);
  return pool;
}

/** Names of settings have no case. */
function inLowerCase(settings: SessionSettings): SessionSettings {
  return Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [name.toLowerCase(), value]),
  );
}

function refuseStandby(client: pg.PoolClient, done: (error?: Error) => void): void {
  const question = {
    text: 'select pg_is_in_recovery() as standby',
    // Not the pool's own, which is made for longer queries.
    query_timeout: CONNECT_MS_MAX,
  };
  client.query<{ standby: boolean }>(question, (error, result) => {
    // With an error there is no result, though its type says otherwise.
    if (error instanceof Error) done(error);
    else done(result.rows[0]?.standby === false ? undefined : new Error('is a standby'));
  });
}

/**
 * A machine that disappears leaves connections that look alive for a quarter of an hour. A query ends by
 * its time-out; this closes the connection too, so that the next query opens a new one, on another server
 * if need be. The pool closes idle connections before.
 */
function createSocket(silenceMsMax: number): Socket {
  const socket = new Socket();
  socket.setTimeout(silenceMsMax, () =>
    socket.destroy(new Error(`the database has not answered for ${silenceMsMax} ms`)),
  );
  return socket;
}
