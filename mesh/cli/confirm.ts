import type { CommandContext } from './command.ts';
import { UsageError } from './errors.ts';

/**
 * Asks before something that can't be undone; `--yes` is the answer beforehand.
 *
 * @throws UsageError where nobody is there to be asked.
 */
export async function confirm(
  question: string,
  { options, terminal }: Pick<CommandContext, 'options' | 'terminal'>,
): Promise<boolean> {
  if (options.yes === true) return true;
  if (terminal.ask === undefined || options.json === true) {
    throw new UsageError('nobody is there to be asked whether this is meant: say --yes');
  }
  const answer = await terminal.ask(`${question}\nType yes to go on: `);
  return answer.trim().toLowerCase() === 'yes';
}
