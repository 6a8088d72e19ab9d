import { styleText } from 'node:util';
import type { LogEntry, LogLevelName } from './log-entry.ts';
import { printable } from './printable.ts';

/** A field's value; the rest of it is in the file. */
const VALUE_LENGTH_MAX = 200;

const COLORS: Record<LogLevelName, Parameters<typeof styleText>[0]> = {
  trace: 'dim',
  debug: 'dim',
  info: 'green',
  warn: 'yellow',
  error: 'red',
  fatal: 'red',
};

/**
 * One entry as people read it: time, service, level, message, fields, and the stack of an error below.
 *
 * @param options.name of the service, padded to `options.width`.
 * @param options.isUtc else the time is that of this machine's zone.
 */
export function formatLogEntry(
  entry: LogEntry,
  { name, width = name.length, isUtc = false }: { name: string; width?: number; isUtc?: boolean },
): string {
  const { level, timeMs } = entry;
  const time = timeMs === undefined ? ' '.repeat(isUtc ? 24 : 23) : formatTime(timeMs, isUtc);
  const word = (level ?? '').padEnd(5);
  const fields = Object.entries(entry.fields).map(
    ([field, value]) => ` ${styleText('dim', printable(`${field}=${formatValue(value)}`))}`,
  );
  const head = [
    styleText('dim', time),
    printable(name).padEnd(width),
    level === undefined ? word : styleText(COLORS[level], word),
    `${indent(printable(entry.message))}${fields.join('')}`,
  ];
  const stack = entry.stack === undefined ? '' : `\n${frames(entry.stack, entry.message)}`;
  return `${head.join(' ').trimEnd()}${stack}`;
}

/** `2026-11-27 10:13:12.123`, or in UTC `2026-11-27T09:13:12.123Z`. */
export function formatTime(ms: number, isUtc = false): string {
  const date = new Date(ms);
  if (isUtc) return date.toISOString();
  const local = new Date(ms - date.getTimezoneOffset() * 60_000);
  return local.toISOString().replace('T', ' ').slice(0, -1);
}

function formatValue(value: unknown): string {
  const text =
    typeof value === 'string' && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
  return text.length > VALUE_LENGTH_MAX ? `${text.slice(0, VALUE_LENGTH_MAX)}…` : text;
}

/** The first line repeats the message; frames inside Node say nothing about the mesh. */
function frames(stack: string, message: string): string {
  const [first = '', ...rest] = printable(stack).split('\n');
  const isSaid = printable(message).includes(first.replace(/^\w*Error: /, ''));
  const lines = [...(isSaid ? [] : [first]), ...rest].filter(
    (line) => !/^ +at .*\(?node:/.test(line),
  );
  return styleText('dim', lines.map((line) => `    ${line.trimStart()}`).join('\n'));
}

function indent(text: string): string {
  return text.replaceAll('\n', '\n    ');
}
