/*
 * Lines of the logs of a mesh. Services and Caddy write JSON, nats-server and PostgreSQL lines of their own:
 *
 *   {"level":40,"time":"2026-11-27T09:13:12.123Z","service":"counter","pid":7,"msg":"…","err":{…}}
 *   {"level":"warn","ts":1764234792.123,"logger":"admin","msg":"…"}
 *   [7] 2026/11/27 09:13:12.123456 [WRN] …
 *   2026-11-27 09:13:12.123 UTC [7] WARNING:  …
 */

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
export type LogLevelName = (typeof LOG_LEVELS)[number];

export interface LogEntry {
  /** Milliseconds since 1970; undefined where the line does not say it. */
  timeMs: number | undefined;
  /** Undefined for what says more about the entry before it. */
  level: LogLevelName | undefined;
  /** As the line says it; the name of the file says which one of them. */
  service: string | undefined;
  message: string;
  /** What else is in the line, without what says where it is from. */
  fields: Record<string, unknown>;
  /** Of an error, with its causes. */
  stack: string | undefined;
  isJson: boolean;
}

/** Undefined for what is no entry, such as the stack of a crash. */
export function parseLogEntry(line: string): LogEntry | undefined {
  if (line.startsWith('{')) return parseJson(line);
  return parseNats(line) ?? parsePostgres(line);
}

/** As lines of services have it. */
export function pinoLevel(level: LogLevelName): number {
  return (LOG_LEVELS.indexOf(level) + 1) * 10;
}

/** Zap's, which Caddy uses. */
const ZAP_LEVELS: Record<string, LogLevelName> = {
  debug: 'debug',
  info: 'info',
  warn: 'warn',
  error: 'error',
  dpanic: 'fatal',
  panic: 'fatal',
  fatal: 'fatal',
};

interface JsonLine {
  level?: unknown;
  time?: unknown;
  ts?: unknown;
  service?: unknown;
  msg?: unknown;
  err?: unknown;
}

function parseJson(line: string): LogEntry | undefined {
  const found = parseObject(line);
  const level = found && readLevel(found.level);
  if (found === undefined || level === undefined) return undefined;
  const { level: _, time, ts, service, msg, err, ...rest } = found;
  const { pid: _pid, hostname: _hostname, v: _v, logger: _logger, ...fields } = rest as Fields;
  const error = asError(err);
  return {
    timeMs: readTime(time ?? ts),
    level,
    service: typeof service === 'string' ? service : undefined,
    message: joinMessage(asText(msg), error.message),
    fields: { ...fields, ...error.fields },
    stack: error.stack,
    isJson: true,
  };
}

type Fields = Record<string, unknown>;

function parseObject(line: string): JsonLine | undefined {
  try {
    const found: unknown = JSON.parse(line);
    return typeof found === 'object' && found !== null ? found : undefined;
  } catch {
    return undefined;
  }
}

function readLevel(level: unknown): LogLevelName | undefined {
  if (typeof level === 'number')
    return LOG_LEVELS.find((name) => pinoLevel(name) >= level) ?? 'fatal';
  return typeof level === 'string' ? ZAP_LEVELS[level] : undefined;
}

/** pino's is ISO 8601, zap's the seconds since 1970. */
function readTime(time: unknown): number | undefined {
  const ms = typeof time === 'string' ? Date.parse(time) : Number(time) * 1000;
  return Number.isFinite(ms) ? ms : undefined;
}

/** As pino writes an error; what others call `err` is a field. */
function asError(err: unknown): { message?: string; stack?: string; fields: Fields } {
  if (typeof err !== 'object' || err === null)
    return err === undefined ? { fields: {} } : { fields: { err } };
  const { type: _, message, stack, ...rest } = err as Fields;
  const { code } = rest;
  return {
    ...(typeof message === 'string' && { message }),
    ...(typeof stack === 'string' && { stack }),
    fields: code === undefined ? {} : { code },
  };
}

/** pino takes the error's message where a line has none. */
function joinMessage(msg: string, reason: string | undefined): string {
  if (reason === undefined || reason === '' || msg.includes(reason)) return msg;
  return msg === '' ? reason : `${msg}: ${reason}`;
}

function asText(msg: unknown): string {
  if (msg === undefined) return '';
  return typeof msg === 'string' ? msg : JSON.stringify(msg);
}

const NATS =
  /^\[\d+\] (\d{4})\/(\d\d)\/(\d\d) (\d\d:\d\d:\d\d)(\.\d{1,9})? \[(TRC|DBG|INF|WRN|ERR|FTL)\] (.*)$/s;
const NATS_LEVELS: Record<string, LogLevelName> = {
  TRC: 'trace',
  DBG: 'debug',
  INF: 'info',
  WRN: 'warn',
  ERR: 'error',
  FTL: 'fatal',
};

function parseNats(line: string): LogEntry | undefined {
  const found = NATS.exec(line);
  if (found === null) return undefined;
  const [, year, month, day, time, fraction = '', level = '', message = ''] = found;
  const iso = `${year}-${month}-${day}T${time}${fraction.slice(0, 4)}Z`;
  return asPlain(iso, NATS_LEVELS[level], message);
}

const POSTGRES = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d\.\d{3}) UTC \[\d+\] ([A-Z]+)\d?:  ?(.*)$/s;
const POSTGRES_LEVELS: Record<string, LogLevelName> = {
  DEBUG: 'debug',
  LOG: 'info',
  INFO: 'info',
  NOTICE: 'info',
  WARNING: 'warn',
  ERROR: 'error',
  FATAL: 'error',
  PANIC: 'fatal',
};
const POSTGRES_MORE = ['DETAIL', 'HINT', 'CONTEXT', 'STATEMENT', 'QUERY', 'LOCATION'];

function parsePostgres(line: string): LogEntry | undefined {
  const [, day, time, kind = '', message = ''] = POSTGRES.exec(line) ?? [];
  const iso = `${day}T${time}Z`;
  if (POSTGRES_MORE.includes(kind))
    return asPlain(iso, undefined, `${kind.toLowerCase()}: ${message}`);
  const level = POSTGRES_LEVELS[kind];
  return level && asPlain(iso, level, message);
}

function asPlain(iso: string, level: LogLevelName | undefined, message: string): LogEntry {
  return {
    timeMs: readTime(iso),
    level,
    service: undefined,
    message,
    fields: {},
    stack: undefined,
    isJson: false,
  };
}
