import { randomUUIDv7 } from 'node:crypto';
import { EXIT, type Command } from '../command.ts';
import { Refusal } from '../errors.ts';
import { formatCount, plural } from '../quantities.ts';
import { formatTable } from '../table.ts';
import { printable } from './list.ts';
import { prepareReplay } from './prepare-replay.ts';
import { readLetter, readSequence, type StoredLetter } from './stored-letter.ts';

/** `dead-letters show` */
export const showDeadLetter: Command = {
  name: 'dead-letters show',
  synopsis: 'SEQ',
  summary: 'Shows a dead letter whole, and whether it could be counted as it is',
  help: `
SEQ is its number in dead-letters list. To repair one:

  npm run --silent mesh -- dead-letters show 12 --json | jq -r .payload > repaired.json
  edit repaired.json
  npm run mesh -- dead-letters replay 12 --payload repaired.json`,
  words: { min: 1, max: 1 },
  run: async ({ servers, words, print }) => {
    const manager = await servers.manager('inspector');
    const letter = await readLetter(manager, readSequence(words[0]));
    const asItIs = judge(letter);
    print({ ...letter, ...asItIs }, () => asText(letter, asItIs.problem));
    return EXIT.fine;
  },
};

/** Whether a replay without a repair would be accepted, and why not. */
function judge({ payload }: StoredLetter): { countable: boolean; problem: string | null } {
  try {
    prepareReplay(payload, { id: randomUUIDv7(), once: 'dead-letter/preview' });
    return { countable: true, problem: null };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { countable: false, problem: error.message };
  }
}

function asText(letter: StoredLetter, problem: string | null): string {
  const rows = [
    ['reason', letter.reason],
    ['published to', letter.subject],
    ['as sequence', formatCount(letter.originalSequence)],
    ['at', letter.storedAt],
    ['dead since', letter.deadSince],
    ['size', sizeOf(letter)],
    ['replay', problem === null ? 'would be counted as it is' : `needs a repair: ${problem}`],
  ];
  const payload = letter.payload.split('\n').map(printable).join('\n');
  return `${formatTable(rows)}\n\n${payload}`;
}

function sizeOf({ payload, truncatedFrom }: StoredLetter): string {
  const size = plural(payload.length, 'character');
  return truncatedFrom === null ? size : `${size}, cut off from ${plural(truncatedFrom, 'byte')}`;
}
