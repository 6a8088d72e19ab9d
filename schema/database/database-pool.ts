import { Socket } from 'node:net';
import type { PostgresPool, PostgresPoolClient } from 'kysely';
import pg from 'pg';
import { describeDatabaseUrl, parseDatabaseUrl } from './database-url.ts';

/** Time to connect, and the same again to say whether it is the primary. */
const CONNECT_MS_MAX = 3_000;
/** The pool closes a connection that nobody used for this long. */
const IDLE_MS_MAX = 10_000;
/** After that, or after the query itself is given up. */
const SILENCE_MARGIN_MS = 1_000;

/**
 * A pool on the server that a URL names, or on the one of several that is the primary: each new
 * connection goes to the server that answered last, and where that is away or a standby by now, to
 * the next. Each server is given twice CONNECT_MS_MAX, so trying them all is bounded.
 */
export function openPool(
  url: string,
  options: pg.PoolConfig & {
    query_timeout: number;
    onBrokenConnection: (error: Error) => void;
  },
): PostgresPool {
  const { onBrokenConnection, ...settings } = options;
  const { urls, needsPrimary } = parseDatabaseUrl(url);
  const pools = urls.map((connectionString) => {
    const pool = new pg.Pool({
      ...settings,
      idleTimeoutMillis: IDLE_MS_MAX,
      connectionTimeoutMillis: CONNECT_MS_MAX,
      connectionString,
      stream: () => createSocket(Math.max(settings.query_timeout, IDLE_MS_MAX) + SILENCE_MARGIN_MS),
      ...(needsPrimary && { verify: refuseStandby }),
    });
    // The pool listens to its clients only while they are idle. One that breaks between two
    // statements of a transaction would end the process; the next statement fails by itself.
    pool.on('connect', (client) => client.on('error', onBrokenConnection));
    pool.on('error', () => undefined);
    return pool;
  });
  const [only] = pools;
  if (only !== undefined && pools.length === 1) return only;
  let current = 0;

  async function connect(): Promise<PostgresPoolClient> {
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

function refuseStandby(client: pg.PoolClient, done: (error?: Error) => void): void {
  const question = {
    text: 'select pg_is_in_recovery() as standby',
    // Not that of the pool, which is made for work.
    query_timeout: CONNECT_MS_MAX,
  };
  client.query<{ standby: boolean }>(question, (error, result) => {
    // With an error there is no result, whatever its type says.
    if (error instanceof Error) done(error);
    else done(result.rows[0]?.standby === false ? undefined : new Error('is a standby'));
  });
}

/**
 * A machine that is gone without a word leaves connections that look alive for a quarter of an hour.
 * A query is given up after its time; this gives up the connection too, so that the next one is
 * made anew, elsewhere if need be. Idle ones are closed by the pool before.
 */
function createSocket(silenceMsMax: number): Socket {
  const socket = new Socket();
  socket.setTimeout(silenceMsMax, () =>
    socket.destroy(new Error(`the database has not answered for ${silenceMsMax} ms`)),
  );
  return socket;
}
