import { parseLogEntry, type LogEntry } from '../../local/log-entry.ts';

export interface LabelledLine {
  line: string;
  entry: LogEntry;
  /** By which lines of several logs are put in order. */
  timeMs: number;
}

/**
 * Makes an entry of each line of one log. What is none, such as the stack of a crash, has the time of the line
 * before it; it is an error, unless it goes on with that line.
 */
export function createLabeller(): (line: string) => LabelledLine | undefined {
  let last: Pick<LogEntry, 'level'> & { timeMs: number } = { level: undefined, timeMs: -Infinity };
  return (line) => {
    if (line.trim() === '') return undefined;
    const parsed = parseLogEntry(line);
    const isMore = parsed === undefined && /^\s/.test(line);
    const level = parsed?.level ?? (parsed !== undefined || isMore ? last.level : 'error');
    last = { level, timeMs: parsed?.timeMs ?? last.timeMs };
    const { timeMs } = last;
    return {
      line,
      timeMs,
      entry: parsed === undefined ? asEntry(line, last) : { ...parsed, level },
    };
  };
}

function asEntry(line: string, { level, timeMs }: { level: LogEntry['level']; timeMs: number }) {
  return {
    timeMs: Number.isFinite(timeMs) ? timeMs : undefined,
    level,
    service: undefined,
    message: line,
    fields: {},
    stack: undefined,
    isJson: false,
  };
}
