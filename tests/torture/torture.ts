/*
 * The torture: a real mesh under load while everything that can break breaks, and then the proof
 * that every 200 was counted exactly once.
 *
 * The seed decides what is sent and what is broken, and in which order; not at which microsecond it
 * meets what else goes on. So a seed that fails once fails again often, and a green one proves what
 * it met.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { FLUSH_INTERVAL_MS, openArena, type Arena } from './arena.ts';
import { auditBooks } from './audit.ts';
import { openBook, type Book } from './book.ts';
import { runClients } from './clients.ts';
import { checkLetters, readLetters } from './dead-letters.ts';
import { runPoisoner } from './poison.ts';
import { createRandom } from './random.ts';
import { startSampler } from './sampler.ts';
import { torment, type Harm } from './tormentor.ts';
import { verifyCounts, type WrongCount } from './verify.ts';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
/** Beyond the longest time-out of anything, so that what is not quiet then never will be. */
const QUIET_MS_MAX = 90_000;

export interface TortureOptions {
  seed: number;
  /** For how long faults are injected. */
  durationMs: number;
  /** Where the services' code is: this project, unless it is to be shown that the torture can fail. */
  root?: string;
  connections?: number;
}

export interface Verdict {
  seed: number;
  /** Empty where every 200 was counted once, and the books balance, and nothing else went wrong. */
  problems: string[];
  wrong: WrongCount[];
  harms: Harm[];
  outcomes: Map<string, number>;
  increments: number;
  counted: number;
  letters: number;
  /** Stored copies that the ledger recognised. */
  copiesRefused: number;
  worstStalenessMs: number;
  quietAfterMs: number;
}

export async function torture(options: TortureOptions): Promise<Verdict> {
  const { seed, durationMs, root = PROJECT, connections = 24 } = options;
  const random = createRandom(seed);
  const arena = await openArena(root);
  try {
    const book = openBook(random.fork());
    const sampler = startSampler(arena.database);
    const ending = new AbortController();
    const shared = { book, onAccepted: sampler.accepted, ending: ending.signal };
    const { gateways } = arena;
    const url = arena.servers.nats.urls.provisioner;
    const sending = Promise.all([
      runClients({ ...shared, random: random.fork(), gateways, connections }),
      runPoisoner({ ...shared, random: random.fork(), url }),
    ]);
    const suffering = torment(arena, { random: random.fork(), sampler, ending: ending.signal });
    await Promise.race([delay(durationMs), sending, suffering]);
    ending.abort();

    const harms = await suffering;
    await sending;
    const { problem, quietAfterMs } = await untilQuiet(arena);
    await sampler.stop();
    return {
      ...(await verify(arena, book, problem)),
      seed,
      harms,
      worstStalenessMs: sampler.worst.stalenessMs,
      quietAfterMs,
    };
  } finally {
    await arena.close();
  }
}

/** Nothing in the stream and nothing pending, and still so a flush later. */
async function untilQuiet(arena: Arena): Promise<{ problem?: string; quietAfterMs: number }> {
  const startedAt = performance.now();
  for (;;) {
    const left = await arena.inspect().catch(() => undefined);
    const quietAfterMs = performance.now() - startedAt;
    if (left?.messages === 0 && left.ackPending === 0) {
      await delay(FLUSH_INTERVAL_MS + 500);
      return { quietAfterMs };
    }
    if (quietAfterMs > QUIET_MS_MAX) {
      return { quietAfterMs, problem: `no quiet: the stream has ${JSON.stringify(left)}` };
    }
    await delay(50);
  }
}

async function verify(arena: Arena, book: Book, problem: string | undefined) {
  const { database, inspector } = arena;
  const { wrong, countOf } = await verifyCounts(database, book);
  const letters = await readLetters(inspector);
  const { copies } = await database
    .selectFrom('ledger')
    .where('increments', '=', 0)
    .select(({ fn }) => fn.countAll<string>().as('copies'))
    .executeTakeFirstOrThrow();
  const wholeLetters = new Set(letters.map(({ sequence }) => sequence)).size;
  const problems = [
    ...(problem === undefined ? [] : [problem]),
    ...book.problems,
    ...wrong.map(({ what }) => what),
    ...checkLetters(letters, book, countOf),
    ...(await auditBooks(database)),
    ...[...arena.gateways, ...arena.counters].flatMap(({ unexpectedEnds }) => unexpectedEnds),
  ];
  return {
    problems,
    wrong,
    outcomes: book.outcomes,
    increments: book.increments.length,
    counted: book.increments.reduce((sum, increment) => sum + countOf(increment), 0),
    letters: letters.length,
    copiesRefused: Math.max(0, Number(copies) - wholeLetters),
  };
}
