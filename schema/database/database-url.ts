import pg from 'pg';
import type { TString } from 'typebox';
import { ConfigurationError } from '../settings/environment.ts';
import { urlSetting } from '../settings/url-setting.ts';

/** One PostgreSQL behind one URL, or several of which one is the primary. */
export interface DatabaseServers {
  /** Each server's own URL, in the order of the list. */
  urls: string[];
  /** Whether the server must be writable. */
  needsPrimary: boolean;
}

const PARTS = /^(postgres(?:ql)?:\/\/)((?:[^/?]*@)?)([^/?]*)(.*)$/;
/** libpq's two names for it. Both mean "not a standby" here, also for a role that may only read. */
const PRIMARY = ['read-write', 'primary'];

/**
 * Parses a list of hosts in the form of libpq:
 * `postgres://user:password@one:5432,two:5432/increments?target_session_attrs=read-write`. The client
 * library accepts one host only.
 *
 * @throws ConfigurationError whose message has no password.
 */
export function parseDatabaseUrl(url: string): DatabaseServers {
  const [, scheme = '', user = '', hosts = '', rest = ''] = PARTS.exec(url) ?? [];
  if (scheme === '') {
    throw new ConfigurationError(['DATABASE_URL is not of the form postgres://user@host/name']);
  }
  const [path = '', query = ''] = rest.split('?', 2);
  const settings = new URLSearchParams(query);
  const target = settings.get('target_session_attrs') ?? 'any';
  if (target !== 'any' && !PRIMARY.includes(target)) {
    throw new ConfigurationError([
      `target_session_attrs in DATABASE_URL is ${target}: it must be read-write, primary or any`,
    ]);
  }
  settings.delete('target_session_attrs');
  const others = settings.size > 0 ? `?${settings.toString()}` : '';
  return {
    urls: hosts.split(',').map((host) => `${scheme}${user}${host}${path}${others}`),
    needsPrimary: PRIMARY.includes(target),
  };
}

const OPTION = /(?:^|\s)(?:-c\s*|--)(\w+)=((?:\\.|[^\s\\])*)/g;

/** PostgreSQL's settings in `options` of a URL, as libpq takes them: `-c name=value`. */
export function readUrlOptions(url: string): Record<string, string> {
  const [, , , , rest = ''] = PARTS.exec(url) ?? [];
  const options = new URLSearchParams(rest.split('?', 2)[1]).get('options') ?? '';
  return Object.fromEntries(
    [...options.matchAll(OPTION)].map(([, name = '', value = '']) => [
      name.toLowerCase(),
      value.replaceAll(/\\(.)/g, '$1'),
    ]),
  );
}

/** A setting for such a URL, which the client library can read too. */
export function databaseUrlSetting(description: string): TString {
  return urlSetting({ pattern: '^postgres(ql)?://.+', description }, (url) =>
    parseDatabaseUrl(url).urls.map((connectionString) => new pg.Client({ connectionString })),
  );
}

/** The same servers and settings with another user. */
export function withDatabaseUser(url: string, user: string, password: string): string {
  const credentials = `${encodeURIComponent(user)}:${encodeURIComponent(password)}@`;
  return url.replace(
    PARTS,
    (_all, scheme: string, _user: string, hosts: string, rest: string) =>
      `${scheme}${credentials}${hosts}${rest}`,
  );
}

/** For people and logs: the servers and the database, no user and no password. */
export function describeDatabaseUrl(url: string): string {
  const [, , , hosts = '', rest = ''] = PARTS.exec(url) ?? [];
  return `${hosts}${rest.split('?', 1)[0] ?? ''}`;
}
