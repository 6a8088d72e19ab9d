import { Kysely, type LogEvent } from 'kysely';
import { openPool } from './database-pool.ts';
import { TableLockDialect } from './migration-lock.ts';
import type { SessionSettings } from './owned-session.ts';
import type { Database } from './tables.ts';

export interface QueryReport {
  sql: string;
  durationMs: number;
  /** A failed statement's SQLSTATE, or what kind of error it was. */
  errorCode?: string;
}

export interface DatabaseOptions {
  /** Shown in pg_stat_activity. */
  name: string;
  connectionsMax: number;
  /** The client gives up a query that takes longer, even if the server hangs. */
  queryTimeoutMs: number;
  /**
   * PostgreSQL's settings for each transaction, whatever is stored for the role (role-settings.ts). Without
   * them sessions are as the server makes them, for statements that no transaction may have in it.
   */
  settings?: SessionSettings;
  /** Called for each statement, including begin and commit, for metrics. */
  onQuery?: (query: QueryReport) => void;
  /** Called when a connection breaks; the pool replaces it by itself. */
  onBrokenConnection: (error: Error) => void;
}

/**
 * Opens a pool. Nothing is connected before the first query.
 *
 * @param url one server, or several as libpq takes them (database-url.ts).
 */
export function openDatabase(url: string, options: DatabaseOptions): Kysely<Database> {
  const pool = openPool(url, {
    application_name: options.name,
    max: options.connectionsMax,
    keepAlive: true,
    keepAliveInitialDelayMillis: 5_000,
    query_timeout: options.queryTimeoutMs,
    settings: options.settings,
    onBrokenConnection: options.onBrokenConnection,
  });
  const { onQuery } = options;
  return new Kysely<Database>({
    dialect: new TableLockDialect({ pool }),
    ...(onQuery && { log: (event: LogEvent) => onQuery(asReport(event)) }),
  });
}

/** Does one thing on a connection of its own, which is closed afterwards. */
export async function onDatabase<Answer>(
  url: string,
  options: Pick<DatabaseOptions, 'name' | 'queryTimeoutMs' | 'settings'>,
  act: (db: Kysely<Database>) => Promise<Answer>,
): Promise<Answer> {
  const db = openDatabase(url, {
    ...options,
    connectionsMax: 1,
    onBrokenConnection: () => undefined,
  });
  return act(db).finally(() => db.destroy());
}

function asReport(event: LogEvent): QueryReport {
  const report = { sql: event.query.sql, durationMs: event.queryDurationMillis };
  if (event.level === 'query') return report;
  const { code, name } = event.error as { code?: string; name?: string };
  return { ...report, errorCode: code ?? name ?? 'unknown' };
}
