import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { styleText } from 'node:util';
import type { DetachedProcess } from '../servers/detached-process.ts';
import { openRotatedLog, type RotatedLog } from '../servers/log-file.ts';
import { parseLogEntry, type LogLevelName } from './log-entry.ts';
import { printable } from './printable.ts';

/** Lower ones are only written to the file. */
const LEVELS_SHOWN: LogLevelName[] = ['warn', 'error', 'fatal'];

/**
 * Writes a service's log to a file, and shows its warnings and errors in the terminal, as well as lines
 * that are no log entries, such as the stack of a crash. What can't be written is lost, and that is said:
 * a full disk must not stop a mesh.
 *
 * @param options.showsEntries false for a program that repeats a warning as often as it has it.
 * @throws the error of the disk where the log can't be opened; the service is killed then, since each attempt
 * to start it would leave one more process.
 */
export function keepLog(
  service: DetachedProcess,
  file: string,
  options: { name: string; say: (line: string) => void; showsEntries?: boolean },
): void {
  const log = openOrKill(service, file);
  let lost = 0;
  const streams = [service.stdout, service.stderr].filter((stream) => stream !== null);
  let open = streams.length;
  for (const stream of streams) follow(stream);

  function follow(stream: Readable): void {
    const lines = createInterface({ input: stream, crlfDelay: Infinity });
    lines.on('line', (line) => {
      keep(line);
      const shown = readable(line, options);
      if (shown !== undefined) options.say(shown);
    });
    lines.once('close', () => {
      open -= 1;
      if (open === 0) log.close();
    });
  }

  function keep(line: string): void {
    try {
      log.write(line);
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
}

function openOrKill(service: DetachedProcess, file: string): RotatedLog {
  try {
    return openRotatedLog(file);
  } catch (error) {
    service.kill('SIGKILL');
    throw error;
  }
}

/** Parses only what may be shown: a busy service logs thousands of lines that are not. */
function readable(
  line: string,
  { name, showsEntries = true }: { name: string; showsEntries?: boolean },
): string | undefined {
  if (/^\{"level":[123]0,/.test(line) || line === '') return undefined;
  // The frames of a crash that are inside Node are only written to the file.
  if (/^ +at .*\(?node:/.test(line)) return undefined;
  const entry = parseLogEntry(line);
  if (entry === undefined) return `${name}: ${printable(line)}`;
  const { level = 'info', message } = entry;
  if (!showsEntries || !LEVELS_SHOWN.includes(level)) return undefined;
  const color = level === 'warn' ? 'yellow' : 'red';
  return `${name} ${styleText(color, level)}: ${printable(message)}`;
}
