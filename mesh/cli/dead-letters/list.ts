import { INCREMENTS_DEAD } from '../../../nats/streams.ts';
import { EXIT, type Command } from '../command.ts';
import { UsageError } from '../errors.ts';
import { plural } from '../quantities.ts';
import { formatTable } from '../table.ts';
import { readLetters, readSequence, type StoredLetter } from './stored-letter.ts';

const LETTERS_MAX = 50;
const PREVIEW_LENGTH = 60;

/** `dead-letters list` */
export const listDeadLetters: Command = {
  name: 'dead-letters list',
  synopsis: '[--limit N] [--from SEQ]',
  summary: 'Lists what counters could not accept, with the reason',
  help: `
The newest ${LETTERS_MAX} are shown, the oldest of them first. Dead letters are kept for 30 days.

  --limit N    shows N instead of ${LETTERS_MAX}
  --from SEQ   begins with this one; to go through them from the start, --from 1`,
  options: { limit: { type: 'string' }, from: { type: 'string' } },
  run: async ({ servers, options, print }) => {
    const manager = await servers.manager('inspector');
    const { state } = await manager.streams.info(INCREMENTS_DEAD);
    const limit = readLimit(options.limit);
    const from =
      options.from === undefined
        ? Math.max(1, state.last_seq - limit + 1)
        : readSequence(String(options.from));
    const letters = state.messages === 0 ? [] : await readLetters(manager, from, limit);
    print({ total: state.messages, letters }, () => asText(letters, state.messages));
    return EXIT.fine;
  },
};

function readLimit(option: string | boolean | undefined): number {
  if (option === undefined) return LETTERS_MAX;
  if (typeof option === 'string' && /^[1-9]\d{0,5}$/.test(option)) return Number(option);
  throw new UsageError('--limit must be a number from 1 to 999999');
}

function asText(letters: StoredLetter[], total: number): string {
  if (total === 0) return 'There are no dead letters.';
  const rows = letters.map((letter) => [
    String(letter.sequence),
    letter.deadSince.replace('T', ' ').slice(0, 19),
    letter.reason,
    letter.subject,
    preview(letter.payload),
  ]);
  const table = formatTable(rows, ['SEQ', 'DEAD SINCE (UTC)', 'REASON', 'SUBJECT', 'PAYLOAD']);
  const rest = total > letters.length ? `, ${letters.length} of them shown` : '';
  return `${table}\n\n${plural(total, 'dead letter')}${rest}. dead-letters show SEQ shows one whole.`;
}

/** One line of the terminal, whatever the sender wrote. */
function preview(payload: string): string {
  const line = printable(payload.slice(0, PREVIEW_LENGTH + 1));
  return line.length > PREVIEW_LENGTH ? `${line.slice(0, PREVIEW_LENGTH - 1)}…` : line;
}

/** Control characters could move the cursor or recolour the terminal. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '·');
}
