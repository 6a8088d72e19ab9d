import { Socket } from 'node:net';
import type { PostgresPool, PostgresPoolClient } from 'kysely';
import pg from 'pg';
import { describeDatabaseUrl, parseDatabaseUrl, readUrlOptions } from './database-url.ts';
import { ConfigurationError } from '../settings/environment.ts';
import { ownSession, type SessionSettings } from './owned-session.ts';

/** Time to connect, and the same again to check whether the server is the primary. */
const CONNECT_MS_MAX = 3_000;
/** The pool closes a connection that was unused for this long. */
const IDLE_MS_MAX = 10_000;
/** No session is trusted for longer, whatever was changed in it or for it. */
const SESSION_SECONDS_MAX = 60;
/** A silent connection is closed this long after the idle limit or the time-out of its query. */
const SILENCE_MARGIN_MS = 1_000;

/**
 * A pool on the server of a URL, or on the primary of several: each new connection tries the server that
 * answered last and, if that is away or a standby by now, the next ones. Each server gets twice
 * CONNECT_MS_MAX at most, so trying them all is bounded.
 */
export function openPool(
  url: string,
  options: pg.PoolConfig & {
    query_timeout: number;
    /** Of each transaction (owned-session.ts); those in the URL's `options` win. */
    settings?: SessionSettings | undefined;
    onBrokenConnection: (error: Error) => void;
  },
): PostgresPool {
  const { onBrokenConnection, settings: ours, ...settings } = options;
  const { urls, needsPrimary } = parseDatabaseUrl(url);
  const owned = ours && { ...inLowerCase(ours), ...readOptions(url) };
  const pools = urls.map((connectionString) => {
    const pool = new pg.Pool({
      ...settings,
      idleTimeoutMillis: IDLE_MS_MAX,
      connectionTimeoutMillis: CONNECT_MS_MAX,
      maxLifetimeSeconds: SESSION_SECONDS_MAX,
      connectionString,
      stream: () => createSocket(Math.max(settings.query_timeout, IDLE_MS_MAX) + SILENCE_MARGIN_MS),
      ...(needsPrimary && { verify: refuseStandby }),
    });
    // The pool handles errors of its clients only while they are idle. A connection that breaks between two
    // statements of a transaction would end the process; the next statement fails by itself.
    pool.on('connect', (client) => client.on('error', onBrokenConnection));
    pool.on('error', () => undefined);
    return pool;
  });
  let current = 0;

  async function connect(): Promise<PostgresPoolClient> {
    const client = pools.length === 1 ? await pools[0]!.connect() : await connectToPrimary();
    return owned ? ownSession(client, owned) : client;
  }

  async function connectToPrimary(): Promise<pg.PoolClient> {
    const first = current;
    const failures: string[] = [];
    let cause: unknown;
    for (let step = 0; step < pools.length; step++) {
      const index = (first + step) % pools.length;
      try {
        const client = await pools[index]!.connect();
        current = index;
        return client;
      } catch (error) {
        cause = error;
        const { message, code } = error as NodeJS.ErrnoException;
        failures.push(`${describeDatabaseUrl(urls[index]!)} ${message || code || 'failed'}`);
      }
    }
    const wanted = needsPrimary ? 'is a primary that answers' : 'answers';
    throw new Error(`no server of DATABASE_URL ${wanted}: ${failures.join('; ')}`, { cause });
  }

  return {
    options: {},
    connect,
    end: async () => void (await Promise.all(pools.map((pool) => pool.end()))),
  };
}

/** @throws ConfigurationError for what the mesh decides itself. */
function readOptions(url: string): SessionSettings {
  const options = readUrlOptions(url);
  if (options['search_path'] === undefined) return options;
  throw new ConfigurationError([
    'search_path is in the options of a database URL: take it out, and set DATABASE_SCHEMA to that schema',
  ]);
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
