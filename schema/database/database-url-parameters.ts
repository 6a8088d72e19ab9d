import { ConfigurationError } from '../settings/environment.ts';

/** What a URL says after the question mark, as libpq means it. */
export interface Parameters {
  tls: DatabaseTls;
  /** Whether the server must be writable. */
  needsPrimary: boolean;
  /** PostgreSQL's own settings, by name in lower case: `options=-c name=value`. */
  settings: Record<string, string>;
  connectTimeoutS?: number;
  applicationName?: string;
}

export interface DatabaseTls {
  mode: SslMode;
  /** A file of certificates; undefined for the system's. */
  rootCertFile?: string;
  /** Both or none. */
  certFile?: string;
  keyFile?: string;
  keyPassword?: string;
  /** Without asking the server first, which takes PostgreSQL 17. */
  isDirect: boolean;
}

const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof SSL_MODES)[number];

/** libpq's two names for it. Both mean "not a standby" here, also for a role that may only read. */
const PRIMARY = ['read-write', 'primary'];
const CONNECT_S_MAX = 60;

/** Of which only a value will do that asks for what we do anyway. */
const FIXED: Record<string, { only: RegExp; instead: string }> = {
  channel_binding: {
    only: /^(?:disable|prefer)$/,
    instead: 'leave it out, and let sslmode=verify-full prove which server it is',
  },
  client_encoding: { only: /^(?:utf-?8|unicode|auto)$/i, instead: 'leave it out: it is UTF8' },
  fallback_application_name: { only: /^/, instead: '' },
  gssencmode: { only: /^(?:disable|prefer)$/, instead: 'use sslmode' },
  keepalives: { only: /^1$/, instead: 'leave it out: they are sent after 5 s' },
  load_balance_hosts: { only: /^disable$/, instead: 'leave it out' },
  // Of drivers for Node, which ask by it for what is always so here.
  uselibpqcompat: { only: /^true$/, instead: 'leave it out' },
};

const IN_URL = 'write host, user, password and database into the URL';
const INSTEAD: Record<string, string> = {
  gssdelegation: 'use a password or sslcert',
  hostaddr: 'write the address in the place of the host',
  krbsrvname: 'use a password or sslcert',
  max_protocol_version: 'leave it out: it is 3.0',
  passfile: 'write the password into the URL',
  require_auth: 'leave it out, and let sslmode=verify-full prove which server it is',
  requirepeer: 'leave it out',
  service: IN_URL,
  servicefile: IN_URL,
  ssl_max_protocol_version: 'leave it out',
  ssl_min_protocol_version: 'leave it out: it is TLS 1.2',
  sslcrl: 'leave it out',
  sslcrldir: 'leave it out',
  sslkeylogfile: 'leave it out',
  sslsni: 'leave it out: it is on',
  tcp_user_timeout: 'leave it out: a silent connection is closed',
};

/** Those that database-url.ts reads. */
const OF_ADDRESS = ['host', 'port', 'user', 'password', 'dbname'];

/**
 * Reads the parameters of a URL.
 *
 * @param isEncryptable false where all servers are Unix sockets, on which libpq encrypts nothing.
 * @throws ConfigurationError with every parameter that the client library can't do.
 */
export function readParameters(
  given: Map<string, string>,
  { isEncryptable }: { isEncryptable: boolean },
): Parameters {
  const left = new Map(given);
  const problems: string[] = [];
  const take = (name: string) => {
    const value = left.get(name);
    left.delete(name);
    return value === '' ? undefined : value;
  };
  for (const name of OF_ADDRESS) left.delete(name);
  const target = take('target_session_attrs') ?? 'any';
  if (target !== 'any' && !PRIMARY.includes(target)) {
    problems.push(`target_session_attrs is ${target}: it must be read-write, primary or any`);
  }
  const timeout = take('connect_timeout');
  const connectTimeoutS = Number(timeout);
  if (timeout !== undefined && !(/^\d+$/.test(timeout) && isTimeout(connectTimeoutS))) {
    problems.push(`connect_timeout is ${timeout}: it must be 1 to ${CONNECT_S_MAX} seconds`);
  }
  const settings = parseOptions(take('options') ?? '', problems);
  const applicationName = take('application_name');
  const tls = readTls(take, problems);
  for (const [name, value] of left) problems.push(...judge(name, value));
  if (problems.length > 0) throw new ConfigurationError(problems);
  return {
    tls: isEncryptable ? tls : { mode: 'disable', isDirect: false },
    needsPrimary: PRIMARY.includes(target),
    settings,
    ...(timeout !== undefined && { connectTimeoutS }),
    ...(applicationName !== undefined && { applicationName }),
  };
}

function isTimeout(seconds: number): boolean {
  return seconds >= 1 && seconds <= CONNECT_S_MAX;
}

function judge(name: string, value: string): string[] {
  const fixed = FIXED[name];
  if (fixed?.only.test(value) === true || value === '') return [];
  return [`${name} can't be done here: ${fixed?.instead ?? INSTEAD[name] ?? 'leave it out'}`];
}

function readTls(take: (name: string) => string | undefined, problems: string[]): DatabaseTls {
  const [rootCert, certFile, keyFile, keyPassword, negotiation, ssl] = [
    'sslrootcert',
    'sslcert',
    'sslkey',
    'sslpassword',
    'sslnegotiation',
    'ssl',
  ].map(take);
  const usual = rootCert === 'system' ? 'verify-full' : ssl === 'true' ? 'require' : undefined;
  const mode = take('sslmode') ?? usual;
  const rootCertFile = rootCert === 'system' ? undefined : rootCert;
  const isDirect = negotiation === 'direct';
  const isSure = ['require', 'verify-ca', 'verify-full'].includes(mode ?? '');

  if (ssl !== undefined && ssl !== 'true') {
    problems.push('ssl must be true; better use sslmode');
  }
  if (mode !== undefined && !isSslMode(mode)) {
    problems.push(
      `sslmode is ${mode}: it must be ${SSL_MODES.join(', ')}; require encrypts and does not verify the server`,
    );
  } else if (rootCert === 'system' && mode !== 'verify-full') {
    problems.push('sslrootcert=system takes sslmode=verify-full');
  } else if (mode === 'verify-ca' && rootCertFile === undefined) {
    problems.push('sslmode=verify-ca takes sslrootcert with a file; or write sslmode=verify-full');
  } else if ((rootCertFile ?? certFile ?? keyFile) !== undefined && !isSure) {
    problems.push('sslrootcert, sslcert and sslkey take sslmode=require, verify-ca or verify-full');
  }
  if ((certFile === undefined) !== (keyFile === undefined)) {
    problems.push('sslcert and sslkey go together: write both or none');
  }
  if (negotiation !== undefined && negotiation !== 'postgres' && !(isDirect && isSure)) {
    problems.push(
      'sslnegotiation must be postgres; or direct, with sslmode=require, verify-ca or verify-full',
    );
  }
  return {
    // As libpq: with an authority, its certificates are verified.
    mode: mode === 'require' && rootCertFile !== undefined ? 'verify-ca' : asMode(mode),
    ...(rootCertFile !== undefined && { rootCertFile }),
    ...(certFile !== undefined && { certFile }),
    ...(keyFile !== undefined && { keyFile }),
    ...(keyPassword !== undefined && { keyPassword }),
    isDirect,
  };
}

function isSslMode(text: string): text is SslMode {
  return SSL_MODES.some((mode) => mode === text);
}

/** Without a mode nothing is encrypted, and no connection takes a second attempt. */
function asMode(text: string | undefined): SslMode {
  return text !== undefined && isSslMode(text) ? text : 'disable';
}

/** As PostgreSQL splits them: by spaces, unless after a backslash. */
const WORD = /(?:\\.|[^\s\\])+/gs;
const SETTING = /^(?:-c|--)([\w.-]+)=(.*)$/s;

function parseOptions(options: string, problems: string[]): Record<string, string> {
  const words = options.match(WORD) ?? [];
  const settings: Record<string, string> = {};
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] === '-c' ? `-c${words[(index += 1)] ?? ''}` : words[index]!;
    const [, name, value = ''] = SETTING.exec(word) ?? [];
    if (name === undefined) {
      problems.push('options must be of the form -c name=value');
      break;
    }
    settings[name.toLowerCase().replaceAll('-', '_')] = value.replaceAll(/\\(.)/gs, '$1');
  }
  return settings;
}

/** Those of readParameters(), to be read again. */
export function parametersOf(parameters: Parameters): Record<string, string> {
  const { tls, needsPrimary, settings, connectTimeoutS, applicationName } = parameters;
  const { mode, rootCertFile, certFile, keyFile, keyPassword, isDirect } = tls;
  const options = Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value.replaceAll(/[\\\s]/g, '\\$&')}`)
    .join(' ');
  const rootCert = rootCertFile ?? (mode === 'verify-full' ? 'system' : undefined);
  const all: Record<string, string | undefined> = {
    sslmode: mode === 'disable' ? undefined : mode,
    sslrootcert: rootCert,
    sslcert: certFile,
    sslkey: keyFile,
    sslpassword: keyPassword,
    sslnegotiation: isDirect ? 'direct' : undefined,
    // Not read-write, which libpq takes for a role whose transactions may write.
    target_session_attrs: needsPrimary ? 'primary' : undefined,
    connect_timeout: connectTimeoutS?.toString(),
    application_name: applicationName,
    options: options === '' ? undefined : options,
  };
  return Object.fromEntries(
    Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
