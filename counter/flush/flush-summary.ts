import { GROWING_KEYS_MAX } from '../../schema/message/heartbeat.ts';
import type { DeadLetterReason } from '../../schema/message/envelope.ts';
import type { Exact } from '../../schema/int64.ts';
import type { DeadLetter } from './write-dead-letters.ts';
import type { Tally } from '../consume/tally.ts';

const DEAD_LETTERS_MAX = 10;

/** What the console shows of a flush; its size is limited, however large the flush. */
export interface FlushSummary {
  /** The keys that grew most, with the amount added; largest first. */
  growing: { key: string; added: Exact }[];
  /** The last few dead letters. */
  deadLetters: { reason: DeadLetterReason; sequence: number }[];
}

export function summarizeFlush(tally: Tally, deadLetters: DeadLetter[]): FlushSummary {
  const latest = deadLetters.slice(-DEAD_LETTERS_MAX);
  return {
    growing: largestOf(tally),
    deadLetters: latest.map(({ reason, sequence }) => ({ reason, sequence })),
  };
}

/** One pass with one comparison a key: some milliseconds for 100 000 keys, whose flush takes a second. */
function largestOf(tally: Iterable<[string, Exact]>): FlushSummary['growing'] {
  const largest: FlushSummary['growing'] = [];
  for (const [key, added] of tally) {
    const least = largest.at(-1);
    const isFull = largest.length === GROWING_KEYS_MAX;
    if (isFull && least !== undefined && added <= least.added) continue;
    if (isFull) largest.pop();
    const index = largest.findIndex((other) => other.added < added);
    largest.splice(index === -1 ? largest.length : index, 0, { key, added });
  }
  return largest;
}
