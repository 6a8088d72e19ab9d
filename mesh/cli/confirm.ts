import type { CommandContext } from './command.ts';
import { UsageError } from './errors.ts';

/**
 * Asks before something that can't be undone, unless `--yes` was given.
 *
 * @throws UsageError where it can't ask.
 */
export async function confirm(
  question: string,
  { options, terminal }: Pick<CommandContext, 'options' | 'terminal'>,
): Promise<boolean> {
  if (options.yes === true) return true;
  if (terminal.ask === undefined) throw new UsageError('not a terminal: pass --yes to confirm');
  if (options.json === true) throw new UsageError('--json does not ask: pass --yes to confirm');
  const answer = await terminal.ask(`${question}\nType yes to continue: `);
  return answer.trim().toLowerCase() === 'yes';
}
