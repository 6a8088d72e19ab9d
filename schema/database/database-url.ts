import { isIPv6 } from 'node:net';
import { userInfo } from 'node:os';
import type { TString } from 'typebox';
import { ConfigurationError } from '../settings/environment.ts';
import { urlSetting } from '../settings/url-setting.ts';
import { parametersOf, readParameters, type Parameters } from './database-url-parameters.ts';
import { readTlsOptions, tlsFiles } from './database-tls.ts';

/** A DATABASE_URL taken apart. Whatever connects with it, passes it on or shows it derives from this. */
export interface DatabaseAddress extends Parameters {
  /** In the order of the list. */
  servers: DatabaseServer[];
  database: string;
  user: string;
  /** Undefined where the server is to ask for none. */
  password: string | undefined;
}

export interface DatabaseServer {
  /** A name, an IP address without brackets, or the folder of a Unix socket, which begins with a slash. */
  host: string;
  port: number;
}

const FORM = /^postgres(?:ql)?:\/\/(?:([^/?]*)@)?([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s;
const QUOTING = 'in user and password , / ? # @ % are written as %2C %2F %3F %23 %40 %25';
const DEFAULT_PORT = 5432;
/** Of Linux; with the file's name. */
const SOCKET_PATH_BYTES_MAX = 107;

/**
 * Parses a URL as libpq does, with several hosts and with each part as a parameter too:
 * `postgres://user:password@one:5432,two:5432/increments?target_session_attrs=read-write`.
 *
 * @throws ConfigurationError with what the client library can't do, and what to write instead. It shows
 *   nothing that may be a secret.
 */
export function parseDatabaseUrl(url: string): DatabaseAddress {
  const [found, credentials = '', authority = '', path = '', query = ''] = FORM.exec(url) ?? [];
  if (found === undefined) throw refusal('it is not of the form postgres://user@host:port/name');
  const [, name = '', secret] = /^([^:]*)(?::(.*))?$/s.exec(credentials) ?? [];
  const given = parseQuery(query);
  const servers = parseServers(authority, given);
  const isEncryptable = servers.some(({ host }) => !isSocket(host));
  let user = given.get('user') ?? decode(name, 'the user');
  // Then the port and what follows the question mark may be parts of a password.
  if (user === '' && query !== '' && path === '' && authority.includes(':')) {
    throw refusal(`it has a port and parameters, and no user; ${QUOTING}`);
  }
  user ||= ourName();
  const parameters = readParameters(given, { isEncryptable });
  return {
    servers,
    database: given.get('dbname') || decode(path, 'the name of the database') || user,
    user,
    password: given.get('password') ?? (secret ? decode(secret, 'the password') : undefined),
    ...parameters,
  };
}

/** As libpq, for servers that take whom the system knows. */
function ourName(): string {
  try {
    return userInfo().username;
  } catch {
    throw refusal('it has no user');
  }
}

/** As libpq: a plus is a plus, and of a name that is there twice the last counts. */
function parseQuery(query: string): Map<string, string> {
  const pairs = query.split('&').filter((pair) => pair !== '');
  return new Map(
    pairs.map((pair) => {
      const [, name = '', value = ''] = /^([^=]*)=?(.*)$/s.exec(pair) ?? [];
      return [decode(name, 'a parameter'), decode(value, 'a parameter')];
    }),
  );
}

function parseServers(authority: string, given: Map<string, string>): DatabaseServer[] {
  const parts = authority.split(',').map((part) => {
    const [, brackets, name = '', port = ''] =
      /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(.*))?$/s.exec(part) ?? [];
    return { host: decode(brackets ?? name, 'the host'), port };
  });
  const hosts = given.get('host')?.split(',') ?? parts.map(({ host }) => host);
  const ports = given.get('port')?.split(',') ?? parts.map(({ port }) => port);
  if (ports.length !== 1 && ports.length !== hosts.length) {
    throw refusal(`it has ${hosts.length} hosts and ${ports.length} ports`);
  }
  return hosts.map((host, index) => {
    const port = parsePort(ports[ports.length === 1 ? 0 : index]!);
    checkHost(host, port);
    return { host, port };
  });
}

function parsePort(text: string): number {
  const port = text === '' ? DEFAULT_PORT : /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw refusal(`a port is a number from 1 to 65535; ${QUOTING}`);
  return port;
}

/** What is not understood is not shown: it may be part of a password. */
function checkHost(host: string, port: number): void {
  if (host === '') {
    throw refusal(
      'it has no host: write @localhost, or ?host=/var/run/postgresql for the folder of a Unix socket',
    );
  }
  if (isSocket(host)) {
    if (Buffer.byteLength(socketOf({ host, port })) <= SOCKET_PATH_BYTES_MAX) return;
    throw refusal(`the path of its Unix socket is longer than ${SOCKET_PATH_BYTES_MAX} bytes`);
  }
  const isName = /^[^\s:@/\\?#%[\]]+$/.test(host);
  if (!isName && !isIPv6(host)) throw refusal(`its host is not understood; ${QUOTING}`);
}

function decode(text: string, what: string): string {
  let decoded: string;
  try {
    decoded = decodeURIComponent(text);
  } catch {
    throw refusal(`${what} has a % that begins no character: write % as %25`);
  }
  if (/\p{Cc}/u.test(decoded)) throw refusal(`${what} has a control character`);
  return decoded;
}

function refusal(problem: string): ConfigurationError {
  return new ConfigurationError([problem]);
}

export function isSocket(host: string): boolean {
  return host.startsWith('/');
}

function socketOf({ host, port }: DatabaseServer): string {
  return `${host}/.s.PGSQL.${port}`;
}

/** A setting for such a URL, which is refused too where a file that it names can't be read. */
export function databaseUrlSetting(description: string): TString {
  return urlSetting({ pattern: '^postgres(ql)?://.+', description }, (url) =>
    readTlsOptions(parseDatabaseUrl(url).tls),
  );
}

/** The URL of an address, as this and libpq read it. */
export function formatDatabaseUrl(address: DatabaseAddress): string {
  const { servers, user, password, database } = address;
  const secret = password === undefined ? '' : `:${encodeURIComponent(password)}`;
  const hosts = servers.map(({ host, port }) => {
    const name = isIPv6(host) ? `[${host.replace('%', '%25')}]` : encodeURIComponent(host);
    return `${name}:${port}`;
  });
  const parameters = Object.entries(parametersOf(address))
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    .join('&');
  return (
    `postgres://${encodeURIComponent(user)}${secret}@${hosts.join(',')}/` +
    `${encodeURIComponent(database)}${parameters && `?${parameters}`}`
  );
}

/** The same servers and settings with another user. */
export function withDatabaseUser(url: string, user: string, password: string): string {
  return formatDatabaseUrl({ ...parseDatabaseUrl(url), user, password });
}

/** The same servers and settings with another database. */
export function withDatabaseName(url: string, database: string): string {
  return formatDatabaseUrl({ ...parseDatabaseUrl(url), database });
}

/** For people and logs: the servers and the database, no user, no password and no parameter. */
export function describeDatabaseUrl(url: string): string {
  const { servers, database } = parseDatabaseUrl(url);
  return `${servers.map(describeDatabaseServer).join(',')}/${database}`;
}

export function describeDatabaseServer({ host, port }: DatabaseServer): string {
  if (isSocket(host)) return socketOf({ host, port });
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

/** As files and commands of libpq name it, such as `pg_service.conf`. */
export function libpqSettings(address: DatabaseAddress): Record<string, string> {
  const { servers, database, user, password } = address;
  return {
    host: servers.map(({ host }) => host).join(','),
    port: servers.map(({ port }) => port).join(','),
    dbname: database,
    user,
    ...(password !== undefined && { password }),
    ...parametersOf(address),
  };
}

/** The files that a URL names. */
export function databaseFiles(url: string): string[] {
  return tlsFiles(parseDatabaseUrl(url).tls);
}
