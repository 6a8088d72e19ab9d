import { createInterface } from 'node:readline/promises';
import { UsageError, type CommandContext } from './command.ts';

/**
 * Asks before something that can't be undone; `--yes` is the answer beforehand.
 *
 * @throws UsageError where nobody is there to be asked.
 */
export async function confirm(
  question: string,
  options: CommandContext['options'],
): Promise<boolean> {
  if (options.yes === true) return true;
  if (!process.stdin.isTTY || options.json === true) {
    throw new UsageError('nobody is there to be asked whether this is meant: say --yes');
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`${question}\nType yes to go on: `);
    return answer.trim().toLowerCase() === 'yes';
  } finally {
    terminal.close();
  }
}
