import type { Verdict } from './verdict.ts';
import type { Harm } from './fault-injector.ts';
import { inSeconds } from './verify.ts';

const HISTORIES_MAX = 10;
const PROBLEMS_MAX = 30;
/** What may have to do with a wrong count; ack_wait and the longest fault fit into it. */
const AROUND_MS = { before: 3_000, after: 20_000 };

/** The verdict for people. */
export function report(verdict: Verdict): string {
  const { harms, answers, problems, wrong, worst } = verdict;
  const isExact = problems.length === 0;
  const sent = [...answers.values()].reduce((sum, count) => sum + count, 0);
  return [
    `seed ${verdict.seed}`,
    '',
    `${harms.length} faults                                      number   recovery: median   worst`,
    ...describeHarms(harms),
    '',
    `${sent} requests`,
    ...[...answers]
      .toSorted(([, left], [, right]) => right - left)
      .map(([said, count]) => `  ${said.padEnd(48)} ${String(count).padStart(6)}`),
    '',
    `${verdict.increments} increments were sent, ${verdict.counted} counted, ` +
      `${verdict.letters} became dead letters; the ledger refused ${verdict.copiesRefused} copies and whole messages`,
    ...describeReads(verdict.reads),
    ...describeLost(verdict.lost),
    `quiet ${inSeconds(verdict.quietAfterMs)} after the last request; ` +
      `worst staleness ${inSeconds(worst.stalenessMs)}, meanwhile:`,
    ...harmsDuring(worst.seenAt - worst.stalenessMs, worst.seenAt, harms),
    '',
    isExact ? 'EXACT: every 200 was counted once' : `NOT EXACT: ${problems.length} problem(s)`,
    ...problems.slice(0, PROBLEMS_MAX).map((problem) => `  ${problem}`),
    ...wrong
      .slice(0, HISTORIES_MAX)
      .flatMap(({ what, history }) => [
        '',
        what,
        ...history.map((line) => `  ${line}`),
        ...harmsAround(history, harms),
      ]),
  ].join('\n');
}

function describeReads(reads: Verdict['reads']): string[] {
  if (reads === undefined) return [];
  return [`${reads.answers} reads said of ${reads.claims} increments that they hold them`];
}

function describeLost({ named, found }: Verdict['lost']): string[] {
  if (named === 0) return [];
  return [`${named} messages were purged and named as lost; ${found} of them had been accepted`];
}

function describeHarms(harms: Harm[]): string[] {
  const byKind = Map.groupBy(harms, ({ kind }) => kind);
  return [...byKind]
    .toSorted(([left], [right]) => left.localeCompare(right))
    .map(([kind, ofKind]) => {
      const times = ofKind.flatMap(({ recoveryMs }) => recoveryMs ?? []).toSorted((a, b) => a - b);
      const median = times[Math.floor(times.length / 2)] ?? 0;
      const count = String(ofKind.length).padStart(6);
      const middle = inSeconds(median).padStart(18);
      return `  ${kind.padEnd(48)} ${count} ${middle} ${inSeconds(times.at(-1) ?? 0).padStart(9)}`;
    });
}

/** The faults around the first attempt of a history. */
function harmsAround(history: string[], harms: Harm[]): string[] {
  const first = /^ +([\d.]+) s to/m.exec(history.join('\n'))?.[1];
  if (first === undefined) return [];
  const startedAt = Number(first) * 1000;
  return harmsDuring(startedAt - AROUND_MS.before, startedAt + AROUND_MS.after, harms);
}

function harmsDuring(from: number, to: number, harms: Harm[]): string[] {
  return harms
    .filter(({ beganAt, endedAt }) => endedAt > from && beganAt < to)
    .map(
      ({ kind, targets, beganAt, endedAt }) =>
        `  ${inSeconds(beganAt)} to ${inSeconds(endedAt)}: ${kind} (${targets})`,
    );
}
