import { styleText } from 'node:util';
import { auditBooks, type Audit } from '../../counter/maintenance/audit.ts';
import { readStreamState } from '../../counter/settle/stream-state.ts';
import { EXIT, type Command } from './command.ts';
import { formatCount, plural } from '../../telemetry/quantities.ts';
import { formatTable } from './table.ts';

/** `audit`: do the books balance? */
export const audit: Command = {
  name: 'audit',
  synopsis: '',
  summary: 'Checks that the counters hold what the messages added',
  help: `
Double-entry bookkeeping: the ledger has a row for every message with the sum that it added; the
sums of pruned rows are carried forward. The audit compares

  the sum of all counters and of what was cleared of single ones   with
  the sum of the ledger and what was carried forward,

looks for holes in the settled sequences (a message that left the stream uncounted), and for
settled sequences beyond the end of the stream (the stream went back in time). It reads one
snapshot of the database, so it raises no false alarm at any time or under any load.

It prints "balanced" and exits with 0, or prints the difference and exits with 1.`,
  run: async ({ servers, print }) => {
    const manager = await servers.manager('inspector');
    const database = await servers.database();
    const result = await auditBooks(database, () => readStreamState(manager));
    print(asAnswer(result), () => asText(result));
    return result.isBalanced ? EXIT.fine : EXIT.bad;
  },
};

function asAnswer({ isBalanced, stream, ...rest }: Audit): object {
  const { incarnation, firstSequence, lastSequence } = stream;
  return {
    balanced: isBalanced,
    ...rest,
    settledBeyondEnd: rest.settledBeyondEnd ?? null,
    stream: { incarnation, firstSequence, lastSequence },
  };
}

function asText(result: Audit): string {
  const { isBalanced, stream, missing, holes, settledBeyondEnd } = result;
  const rows = [
    ['counters', formatCount(result.counted)],
    ['cleared', `${formatCount(result.cleared)}  of counters that were cleared one by one`],
    ['ledger', `${formatCount(result.booked)}  with what was carried from pruned rows`],
    ['difference', formatCount(result.difference)],
    ['settled', `through sequence ${formatCount(result.settledThrough)}`],
    ['stream', streamRange(stream)],
  ];
  const faults: string[] = [];
  if (result.difference !== '0') {
    const isMore = !result.difference.startsWith('-');
    faults.push(
      `The counters hold ${formatCount(result.difference.replace('-', ''))} ` +
        `${isMore ? 'more' : 'less'} than the messages added. Was a row changed by hand?`,
    );
  }
  if (missing > 0) {
    const places = holes.map(({ from, through }) =>
      from === through ? from : `${from}…${through}`,
    );
    faults.push(
      `${plural(missing, 'message')} left the stream, and the database does not know ` +
        `${missing === 1 ? 'it' : 'them'}: ${places.join(', ')}${holes.length < missing ? ' …' : ''}. ` +
        'Was the stream purged by hand, or an older copy of the database restored?',
    );
  }
  if (settledBeyondEnd !== undefined) {
    faults.push(
      `Message ${settledBeyondEnd} is counted, but the stream ends at ${stream.lastSequence}: ` +
        'was an older copy of the stream restored?',
    );
  }
  const verdict = isBalanced
    ? styleText('green', 'balanced')
    : `${styleText('red', 'NOT balanced')}\n${faults.join('\n')}`;
  return `${formatTable(rows)}\n\n${verdict}`;
}

function streamRange({ firstSequence, lastSequence, messages }: Audit['stream']): string {
  if (messages === 0) return `empty, the last sequence was ${formatCount(lastSequence)}`;
  return `${plural(messages, 'message')}, ${formatCount(firstSequence)} to ${formatCount(lastSequence)}`;
}
