import type { LabelledLine } from './label-lines.ts';

/** A line of one log, or undefined if it has no more at the moment. */
export interface LogSource {
  name: string;
  next: () => LabelledLine | undefined;
}

/**
 * All lines that are there, by time. Each log is in order, or nearly: a line that is older than the one before
 * it comes right after that. It holds one line of each.
 */
export function* mergeLogs(sources: LogSource[]): Generator<LabelledLine & { name: string }> {
  const heads = sources.flatMap((source) => {
    const head = source.next();
    return head === undefined ? [] : [{ source, head }];
  });
  while (heads.length > 0) {
    const first = heads.reduce((least, one) => (one.head.timeMs < least.head.timeMs ? one : least));
    yield { ...first.head, name: first.source.name };
    const next = first.source.next();
    if (next === undefined) heads.splice(heads.indexOf(first), 1);
    else first.head = next;
  }
}
