import { within as answerWithin } from '../within.ts';
import { isAway } from '../status/mesh-status.ts';

/** A part of the report, or why there is none. */
export type Part<Answer> = Answer | { missing: string };

export function isMissing(part: object): part is { missing: string } {
  return 'missing' in part;
}

/** A part by itself: one that fails, or takes too long, keeps none of the others. */
export async function within<Answer extends object>(
  timeoutMs: number,
  read: () => Answer | Promise<Answer>,
): Promise<Part<Answer>> {
  const answer = await answerWithin(timeoutMs, async () => read());
  return isAway(answer) ? { missing: answer.away } : answer;
}
