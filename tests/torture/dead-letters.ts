import type { JetStreamManager } from '@nats-io/jetstream';
import { INCREMENTS_DEAD } from '../../nats/streams.ts';
import type { Book, Increment } from './book.ts';
import { isInLoss, mayBeGone, type Loss } from './losses.ts';
import { describeFence, type Wrong } from './verify.ts';

export interface Letter {
  reason: string;
  /** The place of the message it was in. */
  sequence: number;
  text: string;
}

const MARK = /poison-[0-9a-f-]{36}/;
const PAIR = /"key":"([0-9a-f-]{36})","value":(\d+)/g;

/** Every dead letter of the run. */
export async function readLetters(manager: JetStreamManager): Promise<Letter[]> {
  const { state } = await manager.streams.info(INCREMENTS_DEAD);
  const letters: Letter[] = [];
  for (let seq = state.first_seq; seq <= state.last_seq && state.messages > 0; seq++) {
    const message = await manager.streams.getMessage(INCREMENTS_DEAD, { seq });
    if (message === null) continue;
    letters.push({
      reason: message.header.get('Dead-Letter-Reason'),
      sequence: Number(message.header.get('Dead-Letter-Sequence')),
      text: message.string(),
    });
  }
  return letters;
}

/**
 * Every letter must be of something that was sent to become one, and each of those must have one,
 * once for each time that it was stored.
 */
export function checkLetters(
  letters: Letter[],
  book: Book,
  { countOf, losses = [] }: { countOf: (increment: Increment) => number; losses?: Loss[] },
): Wrong[] {
  const wrong: Wrong[] = [];
  const ofPoison = new Map<string, number>();
  const ofIncrement = new Map<Increment, number>();
  const seen = new Set<string>();

  for (const letter of letters) {
    const once = JSON.stringify(letter);
    if (seen.has(once)) note(`stored twice: ${once}`);
    seen.add(once);
    const mark = MARK.exec(letter.text)?.[0];
    if (mark === undefined) checkIncrementLetter(letter);
    else {
      ofPoison.set(mark, (ofPoison.get(mark) ?? 0) + 1);
      const { reason } = book.poisons.get(mark) ?? {};
      if (reason !== letter.reason) note(`the reason should be ${reason}: ${once}`);
    }
  }

  for (const { mark, accepted, unknown } of book.poisons.values()) {
    const found = ofPoison.get(mark) ?? 0;
    const least = accepted.filter((sequence) => !isInLoss(losses, sequence)).length;
    const most = accepted.length + unknown;
    if (found < least || found > most) {
      note(`${mark} was stored ${least} to ${most} times, found ${found}`);
    }
  }
  for (const increment of book.increments) {
    const found = ofIncrement.get(increment) ?? 0;
    const wasAccepted = !mayBeGone(losses, increment.attempts);
    const mayBeLost = increment.letterReasons.length > 0;
    if (mayBeLost && wasAccepted && countOf(increment) === 0 && found === 0) {
      note('neither counted nor a dead letter', increment);
    }
  }
  return wrong;

  function note(what: string, increment?: Increment): void {
    wrong.push({ what, history: increment ? describeFence(increment.fence, countOf) : [] });
  }

  function checkIncrementLetter(letter: Letter): void {
    const pairs = [...letter.text.matchAll(PAIR)];
    if (pairs.length === 0) note(`not sent as one: ${JSON.stringify(letter)}`);
    for (const [, key = '', value = ''] of pairs) {
      const increment = book.find(key, BigInt(value));
      if (increment === undefined || !increment.letterReasons.includes(letter.reason)) {
        note(`not sent as one: ${JSON.stringify(letter)}`, increment);
      } else if (countOf(increment) > 0) {
        note(`counted and a dead letter too: ${JSON.stringify(letter)}`, increment);
      } else ofIncrement.set(increment, (ofIncrement.get(increment) ?? 0) + 1);
    }
  }
}
