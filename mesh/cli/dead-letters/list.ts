import {
  printable,
  readDeadLetters,
  readNewestDeadLetters,
  type StoredDeadLetter,
} from '../../../nats/stored-dead-letter.ts';
import { INCREMENTS_DEAD } from '../../../nats/streams.ts';
import { EXIT, type Command } from '../command.ts';
import { UsageError } from '../errors.ts';
import { plural } from '../../../telemetry/quantities.ts';
import { formatTable } from '../table.ts';
import { readSequence } from './read-dead-letter.ts';

const DEAD_LETTERS_MAX = 50;
const PREVIEW_LENGTH = 60;

/** `dead-letters list` */
export const listDeadLetters: Command = {
  name: 'dead-letters list',
  synopsis: '[--limit N] [--from SEQ]',
  summary: 'Lists what could not be counted, with the reason',
  help: `
Shows the newest ${DEAD_LETTERS_MAX}, the oldest of them first. Dead letters are kept for 30 days.

  --limit N    shows N instead of ${DEAD_LETTERS_MAX}
  --from SEQ   begins with this one; --from 1 begins with the oldest`,
  options: { limit: { type: 'string' }, from: { type: 'string' } },
  run: async ({ servers, options, print }) => {
    const manager = await servers.manager('inspector');
    const { state } = await manager.streams.info(INCREMENTS_DEAD);
    const limit = readLimit(options.limit);
    const from = options.from === undefined ? undefined : readSequence(String(options.from));
    const read = () =>
      from === undefined
        ? readNewestDeadLetters(manager, state, limit)
        : readDeadLetters(manager, from, limit);
    const deadLetters = state.messages === 0 ? [] : await read();
    print({ total: state.messages, letters: deadLetters }, () =>
      asText(deadLetters, state.messages),
    );
    return EXIT.fine;
  },
};

function readLimit(option: string | boolean | undefined): number {
  if (option === undefined) return DEAD_LETTERS_MAX;
  if (typeof option === 'string' && /^[1-9]\d{0,5}$/.test(option)) return Number(option);
  throw new UsageError('--limit must be a number from 1 to 999999');
}

function asText(deadLetters: StoredDeadLetter[], total: number): string {
  if (total === 0) return 'There are no dead letters.';
  const rows = deadLetters.map(({ sequence, deadSince, reason, subject, payload }) => [
    String(sequence),
    deadSince.replace('T', ' ').slice(0, 19),
    reason,
    subject,
    preview(payload),
  ]);
  const table = formatTable(rows, ['SEQ', 'DEAD SINCE (UTC)', 'REASON', 'SUBJECT', 'PAYLOAD']);
  const rest = total > deadLetters.length ? `, ${deadLetters.length} of them shown` : '';
  return `${table}\n\n${plural(total, 'dead letter')}${rest}. dead-letters show SEQ shows one in full.`;
}

/** What fits a line of the terminal. */
function preview(payload: string): string {
  const line = printable(payload.slice(0, PREVIEW_LENGTH + 1));
  return line.length > PREVIEW_LENGTH ? `${line.slice(0, PREVIEW_LENGTH - 1)}…` : line;
}
