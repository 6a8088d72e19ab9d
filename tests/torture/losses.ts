/** Messages that left the stream uncounted, as `accept-loss` named them before counting went on. */
export interface Loss {
  /** How many of the messages from one sequence through another. */
  count: number;
  from: number;
  through: number;
}

const NAMED = /(\d+) of the messages (\d+) to (\d+) left the stream/;

/** Undefined where the text names none. */
export function readLoss(text: string): Loss | undefined {
  const [, count, from, through] = NAMED.exec(text) ?? [];
  if (count === undefined) return undefined;
  return { count: Number(count), from: Number(from), through: Number(through) };
}

export function isInLoss(losses: Loss[], sequence: number): boolean {
  return losses.some(({ from, through }) => sequence >= from && sequence <= through);
}

/** Whether all that was accepted of something may be gone, by the sequences of its messages. */
export function mayBeGone(
  losses: Loss[],
  attempts: { outcome: string; sequence: number | undefined }[],
): boolean {
  const accepted = attempts.filter(({ outcome }) => outcome === 'accepted');
  return accepted.every(({ sequence }) => sequence !== undefined && isInLoss(losses, sequence));
}

/** What is gone beyond what was named. @param gone sequences of accepted messages that are not counted. */
export function checkLosses(losses: Loss[], gone: Set<number>): string[] {
  return losses.flatMap(({ count, from, through }) => {
    const found = [...gone].filter((sequence) => sequence >= from && sequence <= through).length;
    const what = `${found} accepted messages from ${from} to ${through} are not counted`;
    return found > count ? [`${what}, and ${count} were named as lost`] : [];
  });
}
