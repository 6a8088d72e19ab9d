import { randomUUIDv7 } from 'node:crypto';
import { EXIT, type Command } from '../command.ts';
import { Refusal } from '../errors.ts';
import { formatCount, plural } from '../../../telemetry/quantities.ts';
import { formatTable } from '../table.ts';
import { printable, type StoredDeadLetter } from '../../../nats/stored-dead-letter.ts';
import { prepareReplay } from './prepare-replay.ts';
import { readDeadLetter, readSequence } from './read-dead-letter.ts';

/** `dead-letters show` */
export const showDeadLetter: Command = {
  name: 'dead-letters show',
  synopsis: 'SEQ',
  summary: 'Shows a dead letter in full, and whether it can be counted as it is',
  help: `
SEQ is its number in dead-letters list. To repair one:

  npm run --silent mesh -- dead-letters show 12 --json | jq -r .payload > repaired.json
  edit repaired.json
  npm run mesh -- dead-letters replay 12 --payload repaired.json`,
  words: { min: 1, max: 1 },
  run: async ({ servers, words, print }) => {
    const manager = await servers.manager('inspector');
    const deadLetter = await readDeadLetter(manager, readSequence(words[0]));
    const asItIs = judge(deadLetter);
    print({ ...deadLetter, ...asItIs }, () => asText(deadLetter, asItIs.problem));
    return EXIT.fine;
  },
};

/** Whether a replay without a repair would be counted, and why not. */
function judge({ payload }: StoredDeadLetter): { countable: boolean; problem: string | null } {
  try {
    prepareReplay(payload, {
      id: randomUUIDv7(),
      idempotencyKey: 'dead-letter/preview',
    });
    return { countable: true, problem: null };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { countable: false, problem: error.message };
  }
}

function asText(deadLetter: StoredDeadLetter, problem: string | null): string {
  const rows = [
    ['reason', deadLetter.reason],
    ...(deadLetter.error === null ? [] : [['refused with', printable(deadLetter.error)]]),
    ['published to', deadLetter.subject],
    ['as sequence', formatCount(deadLetter.originalSequence)],
    ['at', deadLetter.storedAt],
    ['dead since', deadLetter.deadSince],
    ['size', sizeOf(deadLetter)],
    ['replay', problem === null ? 'would be counted as it is' : `needs a repair: ${problem}`],
  ];
  const payload = deadLetter.payload.split('\n').map(printable).join('\n');
  return `${formatTable(rows)}\n\n${payload}`;
}

function sizeOf({ payload, truncatedFrom }: StoredDeadLetter): string {
  const size = plural(payload.length, 'character');
  return truncatedFrom === null
    ? size
    : `${size}, cut off: it had ${plural(truncatedFrom, 'byte')}`;
}
