/*
 * A session that runs with our settings, whatever a database, a role or a server has by default, and
 * whoever used the session before: each transaction begins with them, and ends with them too. Nothing is
 * kept in the session, so a pooler may give each transaction another one.
 *
 * They travel in one message with what comes anyway, so they cost no round trip:
 *   a transaction      begin; select set_config(…, true), …
 *   a single statement set transaction …; select set_config(…, true), …; statement
 * The second is one transaction too, since PostgreSQL makes one of all statements in a message. A message
 * of several statements has no parameters, hence the literals.
 */
import type { PostgresPoolClient } from 'kysely';
import pg from 'pg';

export type SessionSettings = Record<string, string>;

/**
 * Settings that the oldest servers lack, by the first server_version_num that has them. There, each statement
 * has a time limit and the transaction as a whole has none.
 */
export const SETTINGS_SINCE: Record<string, number> = { transaction_timeout: 170_000 };

const BEGIN = /^(?:begin|start transaction)\b/;
const END = /^(?:commit|rollback)$/;

/** @param settings as PostgreSQL names them; `default_transaction_…` is what a transaction begins with. */
export function ownSession(client: pg.PoolClient, settings: SessionSettings): PostgresPoolClient {
  const modes = transactionModes(settings);
  const configure = configureLocally(settings);
  let isInTransaction = false;
  let isDoubtful = false;

  async function query(text: string, values: readonly unknown[] = []): Promise<pg.QueryResult> {
    try {
      return await send(text, values);
    } catch (error) {
      isDoubtful ||= isAboutSession(error);
      throw error;
    }
  }

  function send(text: string, values: readonly unknown[]): Promise<pg.QueryResult> {
    if (BEGIN.test(text)) {
      isInTransaction = true;
      const stated = text.replace(BEGIN, '').trim();
      return client.query(`start transaction ${complete(stated, modes)}; ${configure}`);
    }
    if (END.test(text)) isInTransaction = false;
    else if (!isInTransaction) return sendAlone(text, values);
    return client.query(text, [...values]);
  }

  async function sendAlone(text: string, values: readonly unknown[]): Promise<pg.QueryResult> {
    const statement = withLiterals(text, values);
    const begin = modes.length > 0 ? `set transaction ${modes.join(' ')}; ` : '';
    const results: unknown = await client.query(`${begin}${configure}; ${statement}`);
    return (results as pg.QueryResult[]).at(-1)!;
  }

  return {
    // Cursors are not used.
    query: query as unknown as PostgresPoolClient['query'],
    // The pool closes it instead of giving it to somebody else.
    release: () => client.release(isDoubtful),
  };
}

/** SQLSTATEs, or their classes, of what the next statement of the session could suffer again. */
const ABOUT_SESSION = ['08', '25', '26', '34', '57P', '0A000'];

/**
 * Whether an error says something of the session and not only of the statement: a lost connection, an
 * answer that never came, a session that is read-only, a plan or a statement that is not there any more.
 */
export function isAboutSession(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError)) return true;
  return ABOUT_SESSION.some((start) => error.code?.startsWith(start) ?? true);
}

/** A standby refuses `read write`, so without that setting a transaction may read there. */
function transactionModes(settings: SessionSettings): string[] {
  const modes: string[] = [];
  const isolation = settings['default_transaction_isolation'];
  const readOnly = settings['default_transaction_read_only'];
  if (isolation !== undefined) modes.push(`isolation level ${isolation}`);
  if (readOnly !== undefined) modes.push(readOnly === 'on' ? 'read only' : 'read write');
  return modes;
}

/** The stated modes, and those of ours of which none is stated: PostgreSQL takes each kind once. */
function complete(stated: string, modes: string[]): string {
  const kind = (mode: string) => mode.split(' ', 1)[0]!;
  const ours = modes.filter((mode) => !stated.includes(kind(mode)));
  return [...(stated === '' ? [] : [stated]), ...ours].join(' ');
}

/** One statement for all; keepalives belong to the connection and are left to the role. */
function configureLocally(settings: SessionSettings): string {
  const calls = Object.entries(settings)
    .filter(([name]) => !/^(?:default_transaction|tcp)_/.test(name))
    .map(([name, value]) => {
      const call = `set_config('${name}', ${pg.escapeLiteral(value)}, true)`;
      const since = SETTINGS_SINCE[name];
      if (since === undefined) return call;
      return `case when current_setting('server_version_num')::integer >= ${since} then ${call} end`;
    });
  return `select ${calls.join(', ')}`;
}

/** What is quoted is passed over. */
const PLACEHOLDER = /'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\d+)/g;

/** Puts values in the place of parameters; like these, a literal gets its type from where it stands. */
export function withLiterals(text: string, values: readonly unknown[]): string {
  return text.replace(PLACEHOLDER, (found, index: string | undefined) =>
    index === undefined ? found : asLiteral(values[Number(index) - 1]),
  );
}

function asLiteral(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (value instanceof Date) return `'${value.toISOString()}'`;
  if (typeof value === 'string') return pg.escapeLiteral(value);
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean')
    return `'${value}'`;
  throw new TypeError('a list or bytes need a transaction: a single statement is sent as text');
}
