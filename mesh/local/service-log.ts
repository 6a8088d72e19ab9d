import { closeSync, fstatSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { styleText } from 'node:util';
import type { DetachedProcess } from '../servers/detached-process.ts';
import { LOG_BYTES_MAX, openLogFile } from '../servers/log-file.ts';

/** Of pino: lower levels are only written to the file. */
const LEVEL_SHOWN_MIN = 40;
const LEVEL_NAMES: Record<number, string> = { 40: 'warn', 50: 'error', 60: 'fatal' };

/**
 * Writes a service's log to a file, and shows its warnings and errors in the terminal, as well as lines
 * that are no log entries, such as the stack of a crash. What can't be written is lost, and that is said:
 * a full disk must not stop a mesh.
 */
export function keepLog(
  service: DetachedProcess,
  file: string,
  options: { name: string; say: (line: string) => void },
): void {
  let log: number | undefined = openLogFile(file);
  let size = fstatSync(log).size;
  let lost = 0;
  const streams = [service.stdout, service.stderr].filter((stream) => stream !== null);
  let open = streams.length;
  for (const stream of streams) follow(stream);

  function follow(stream: Readable): void {
    const lines = createInterface({ input: stream, crlfDelay: Infinity });
    lines.on('line', (line) => {
      keep(line);
      const shown = readable(line, options.name);
      if (shown !== undefined) options.say(shown);
    });
    lines.once('close', () => {
      open -= 1;
      if (open === 0) close();
    });
  }

  function keep(line: string): void {
    try {
      log ??= openLogFile(file);
      size += writeSync(log, `${line}\n`);
      if (size > LOG_BYTES_MAX) rotate();
    } catch (error) {
      if (lost++ > 0) return;
      options.say(
        `the log ${file} can't be written (${(error as Error).message}): its lines are lost until it can`,
      );
      return;
    }
    if (lost > 0) options.say(`the log ${file} is written again; ${lost} lines are lost`);
    lost = 0;
  }

  function rotate(): void {
    close();
    log = openLogFile(file);
    size = 0;
  }

  function close(): void {
    if (log !== undefined) closeSync(log);
    log = undefined;
  }
}

/** Parses only what may be shown: a busy service logs thousands of lines that are not. */
function readable(line: string, name: string): string | undefined {
  if (/^\{"level":[123]0,/.test(line) || line === '') return undefined;
  // The frames of a crash that are inside Node are only written to the file.
  if (/^ +at .*\(?node:/.test(line)) return undefined;
  const entry = parse(line);
  if (entry === undefined) return `${name}: ${line}`;
  if (entry.level < LEVEL_SHOWN_MIN) return undefined;
  const level = LEVEL_NAMES[entry.level] ?? `level ${entry.level}`;
  const reason = entry.err?.message;
  const message = [entry.msg, reason].filter(
    (part, index, all) => part && all.indexOf(part) === index,
  );
  return `${name} ${styleText(entry.level > 40 ? 'red' : 'yellow', level)}: ${message.join(': ')}`;
}

interface LogEntry {
  level: number;
  msg?: string;
  err?: { message?: string };
}

function parse(line: string): LogEntry | undefined {
  try {
    const entry = JSON.parse(line) as LogEntry;
    return typeof entry?.level === 'number' ? entry : undefined;
  } catch {
    return undefined;
  }
}
