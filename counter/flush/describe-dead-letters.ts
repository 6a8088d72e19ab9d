import { plural } from '../../telemetry/quantities.ts';
import type { FlushResult } from './flush.ts';

type Written = Pick<FlushResult, 'reasons' | 'firstDeadLetter'>;

/** Pure: one line about the dead letters of a flush, which may have several parts; undefined without any. */
export function describeDeadLetters(parts: Written[]): string | undefined {
  const counts = new Map<string, number>();
  for (const [reason, count] of parts.flatMap(({ reasons }) => Object.entries(reasons))) {
    counts.set(reason, (counts.get(reason) ?? 0) + count);
  }
  if (counts.size === 0) return undefined;
  const sum = [...counts.values()].reduce((total, count) => total + count, 0);
  const reasons = [...counts].toSorted(([, left], [, right]) => right - left);
  const list = reasons.map(([reason, count]) => `${count} ${reason}`).join(', ');
  const first = Math.min(...parts.map(({ firstDeadLetter = Infinity }) => firstDeadLetter));
  return (
    `${plural(sum, 'dead letter')} (${list}), which ${sum === 1 ? 'is' : 'are'} not counted; the first is of ` +
    `message ${first} of the stream: \`npm run mesh -- dead-letters list\` shows what and why`
  );
}
