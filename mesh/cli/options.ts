import { parseArgs, type ParseArgsOptionsConfig } from 'node:util';
import type { Command, CommandContext } from './command.ts';
import { UsageError } from './errors.ts';

/** The options of every command. */
const COMMON = {
  json: { type: 'boolean' },
  'nats-url': { type: 'string' },
  'database-url': { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} satisfies ParseArgsOptionsConfig;

/** @throws UsageError naming what is unknown, missing or extra. */
export function readOptions(
  command: Command,
  args: string[],
): Pick<CommandContext, 'options' | 'words'> {
  const { options, words } = parse(command, args);
  const { min, max } = command.words ?? { min: 0, max: 0 };
  if (options.help === true) return { options, words };
  if (words.length < min) throw new UsageError(`${command.name} needs ${command.synopsis}`);
  if (words.length > max)
    throw new UsageError(`${command.name} does not take "${words[max] ?? ''}"`);
  return { options, words };
}

function parse(command: Command, args: string[]): Pick<CommandContext, 'options' | 'words'> {
  try {
    const { values, positionals } = parseArgs({
      args,
      options: { ...COMMON, ...command.options },
      allowPositionals: true,
      strict: true,
    });
    return { options: values, words: positionals };
  } catch (error) {
    // Node goes on about words that begin with a dash, which no command takes.
    const [sentence] = (error as Error).message.split('. ');
    throw new UsageError(sentence ?? 'the options are invalid', { cause: error });
  }
}
