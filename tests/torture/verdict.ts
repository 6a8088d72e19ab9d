import { setTimeout as delay } from 'node:timers/promises';
import type { Kysely } from 'kysely';
import type { Database } from '../../schema/database/tables.ts';
import { auditBooks } from './audit.ts';
import type { Book } from './book.ts';
import { checkLetters, readLetters } from './dead-letters.ts';
import type { Reads } from './readers.ts';
import { checkLosses, type Loss } from './losses.ts';
import type { Sampler } from './sampler.ts';
import type { Harm } from './fault-injector.ts';
import type { Inspection } from './inspection.ts';
import { verifyCounts, type Wrong } from './verify.ts';

/** Beyond the longest time-out of anything, so that what is not quiet then never will be. */
const QUIET_MS_MAX = 90_000;
/** After the stream is empty, for what is still on its way somewhere; longer than a flush. */
const AFTERMATH_MS = 2_000;

export interface Verdict {
  seed: number;
  /** Empty where every 200 was counted once, and the books balance, and nothing else went wrong. */
  problems: string[];
  /** Counts that are wrong, and dead letters. */
  wrong: Wrong[];
  /** How many counts are wrong. */
  wrongCounts: number;
  harms: Harm[];
  /** How often each answer was given. */
  answers: Map<string, number>;
  increments: number;
  counted: number;
  letters: number;
  /** Reads while faults were injected; each held what it said that it holds. */
  reads: Reads | undefined;
  /** Messages that operators gave up, and those of them that were accepted and are not counted. */
  lost: { named: number; found: number };
  /** Stored copies that the ledger recognised. */
  copiesRefused: number;
  /** From an answer to the committed row, at most, and when that was seen. */
  worst: { stalenessMs: number; seenAt: number };
  quietAfterMs: number;
}

/** Waits for quiet, then compares what the mesh has with what the book says. */
export async function reachVerdict(
  scene: Inspection,
  book: Book,
  run: { seed: number; harms: Harm[]; sampler: Sampler; reads?: Reads; losses?: Loss[] },
): Promise<Verdict> {
  const { database, inspector } = scene;
  const { losses = [] } = run;
  const { isQuiet, quietAfterMs } = await untilQuiet(scene);
  await run.sampler.stop();
  const { wrong: wrongCounts, countOf, gone } = await verifyCounts(database, book, losses);
  const letters = await readLetters(inspector);
  const wrong = [...wrongCounts, ...checkLetters(letters, book, { countOf, losses })];
  const problems = [
    ...(isQuiet ? [] : [`no quiet within ${QUIET_MS_MAX} ms: something stays in the stream`]),
    ...book.problems,
    ...wrong.map(({ what }) => what),
    ...checkLosses(losses, gone),
    ...(await auditBooks(database)),
  ];
  return {
    seed: run.seed,
    problems,
    wrong,
    wrongCounts: wrongCounts.length,
    harms: run.harms,
    answers: book.answers,
    increments: book.increments.length,
    counted: book.increments.reduce((sum, increment) => sum + countOf(increment), 0),
    letters: letters.length,
    reads: run.reads,
    lost: { named: losses.reduce((sum, { count }) => sum + count, 0), found: gone.size },
    copiesRefused: await countCopies(database),
    worst: run.sampler.worst,
    quietAfterMs,
  };
}

/** Nothing in the stream, nothing pending, and no dead letter that waits in the database. */
async function untilQuiet(scene: Inspection): Promise<{ isQuiet: boolean; quietAfterMs: number }> {
  const startedAt = performance.now();
  for (;;) {
    const left = await scene.inspect().catch(() => undefined);
    const quietAfterMs = performance.now() - startedAt;
    const isSettled = left?.messages === 0 && left.ackPending === 0;
    const isQuiet = isSettled && (await countUnsent(scene.database).catch(() => 1)) === 0;
    if (isQuiet) await delay(AFTERMATH_MS);
    if (isQuiet || quietAfterMs > QUIET_MS_MAX) return { isQuiet, quietAfterMs };
    await delay(50);
  }
}

async function countUnsent(database: Kysely<Database>): Promise<number> {
  const { rows } = await database
    .selectFrom('dead_letters')
    .select(({ fn }) => fn.countAll<string>().as('rows'))
    .executeTakeFirstOrThrow();
  return Number(rows);
}

/** A copy has a row that added nothing, and so has a message that became dead letters as a whole. */
async function countCopies(database: Kysely<Database>): Promise<number> {
  const { rows } = await database
    .selectFrom('ledger')
    .where('increments', '=', 0)
    .select(({ fn }) => fn.countAll<string>().as('rows'))
    .executeTakeFirstOrThrow();
  return Number(rows);
}
