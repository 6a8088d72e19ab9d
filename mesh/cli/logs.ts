import { formatLogEntry } from '../local/format-log-entry.ts';
import { LOG_LEVELS, pinoLevel, type LogLevelName } from '../local/log-entry.ts';
import { EXIT, type Command, type CommandContext } from './command.ts';
import { NoAnswer, Refusal, UsageError } from './errors.ts';
import { followLogs } from './logs/follow-logs.ts';
import { createLabeller, type LabelledLine } from './logs/label-lines.ts';
import { findLogs, type ServiceLog } from './logs/log-files.ts';
import { parseSince } from './logs/since.ts';
import { createLineSplitter } from './logs/split-lines.ts';

const IN_CONTAINERS =
  'in containers, docker compose logs --no-log-prefix counter | npm run mesh -- logs - reads them';

/** `logs` */
export const logs: Command = {
  name: 'logs',
  synopsis: '[NAME …] [--since TIME] [--level LEVEL] [--follow]',
  summary: 'Shows what services and servers logged, in order of time',
  help: `
Merges the logs that npm start keeps in the data folder, those set aside too, and shows them as text:
time, name, level, message, the other fields, and the stack of an error.

  NAME           only these: gateway-1, or gateway for all gateways; counter, nats, postgres, proxy
  --since TIME   what was logged in the last 90s, 10m, 2h or 3d, or since 2026-11-27T09:00:00Z
  --level LEVEL  what is at least that bad: debug, info, warn, error or fatal
  --follow       goes on with what comes, also across a rotation, until Ctrl-C
  --utc          times in UTC; else they are those of this machine's zone
  --json         lines of JSON as they are; a line that is none becomes the message of one

In containers there are no such files. What the engine has is read from standard input:

  docker compose logs --no-log-prefix counter | npm run mesh -- logs -
  kubectl logs deploy/counter | npm run mesh -- logs - --level warn`,
  words: { min: 0, max: 20 },
  options: {
    since: { type: 'string' },
    level: { type: 'string' },
    follow: { type: 'boolean', short: 'f' },
    utc: { type: 'boolean' },
  },
  run: async ({ words, options, servers, terminal }) => {
    const sinceMs = options.since === undefined ? -Infinity : parseSince(String(options.since));
    const isWanted = filterBy({ sinceMs, level: readLevel(options.level) });
    const isInput = words.includes('-');
    if (isInput && words.length > 1) throw new UsageError('logs - takes no name beside it');
    const folder = servers.addresses.dataDir;
    const find = () => choose(readLogNames(folder), words);
    const lines = isInput
      ? labelInput(terminal.input())
      : followLogs(find, { sinceMs, follows: options.follow === true });
    const width = isInput ? 0 : widest(findSome(find, { folder, words }));
    for await (const found of lines) {
      if (!isWanted(found)) continue;
      terminal.write(`${describe(found, { options, width })}\n`);
      await terminal.drained();
    }
    return EXIT.fine;
  },
};

function readLevel(text: unknown): LogLevelName | undefined {
  if (text === undefined) return undefined;
  const level = LOG_LEVELS.find((one) => one === text);
  if (level !== undefined) return level;
  throw new UsageError(`--level is ${JSON.stringify(text)}: it is one of ${LOG_LEVELS.join(', ')}`);
}

function filterBy(wanted: { sinceMs: number; level: LogLevelName | undefined }) {
  const rank = (level: LogLevelName | undefined) => (level ? LOG_LEVELS.indexOf(level) : 0);
  return ({ timeMs, entry }: LabelledLine) =>
    // What has no time yet can't be older than the file, which was written since.
    (timeMs >= wanted.sinceMs || timeMs === -Infinity) && rank(entry.level) >= rank(wanted.level);
}

/** @throws NoAnswer where they are another user's. */
function readLogNames(folder: string): ServiceLog[] {
  try {
    return findLogs(folder);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'EACCES') throw error;
    throw new NoAnswer(`${message}: be the user who ran npm start`, { cause: error });
  }
}

function choose(found: ServiceLog[], words: string[]): ServiceLog[] {
  if (words.length === 0) return found;
  return found.filter(({ name }) =>
    words.some((word) => name === word || name.startsWith(`${word}-`)),
  );
}

/** @throws NoAnswer where there are no logs, Refusal where none has such a name. */
function findSome(
  find: () => ServiceLog[],
  { folder, words }: { folder: string; words: string[] },
): ServiceLog[] {
  const all = readLogNames(folder);
  if (all.length === 0) {
    throw new NoAnswer(
      `${folder} has no logs: npm start keeps them there, and DATA_DIR names another folder; ${IN_CONTAINERS}`,
    );
  }
  const unknown = words.find((word) => choose(all, [word]).length === 0);
  if (unknown === undefined) return find();
  const names = [...new Set(all.map(({ name }) => name))];
  throw new Refusal(`there is no log of "${unknown}", only of ${names.join(', ')}`);
}

function widest(found: ServiceLog[]): number {
  return Math.max(0, ...found.map(({ name }) => name.length));
}

type Found = LabelledLine & { name: string };

/** As they come, since nothing says that they are in order. */
async function* labelInput(input: AsyncIterable<Buffer>): AsyncGenerator<Found> {
  const splitter = createLineSplitter();
  const label = createLabeller();
  const labelAll = (lines: string[]) =>
    lines.flatMap((line): Found[] => {
      // What docker compose puts before it.
      const [, prefix, bare = line] = /^([\w.-]+) +\| (.*)$/s.exec(line) ?? [];
      const found = label(bare);
      return found === undefined ? [] : [{ ...found, name: prefix ?? found.entry.service ?? '' }];
    });
  for await (const part of input) yield* labelAll(splitter.push(part));
  const rest = splitter.rest();
  if (rest !== undefined) yield* labelAll([rest]);
}

function describe(
  { line, entry, name }: Found,
  { options, width }: { options: CommandContext['options']; width: number },
): string {
  if (options.json !== true)
    return formatLogEntry(entry, { name, width, isUtc: options.utc === true });
  if (entry.isJson) return line;
  const { level = 'info', timeMs, message } = entry;
  const time = timeMs === undefined ? undefined : new Date(timeMs).toISOString();
  return JSON.stringify({ level: pinoLevel(level), time, service: name, msg: message });
}
