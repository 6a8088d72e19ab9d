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
import { openTestCluster } from './test-cluster.ts';
import { openBook } from './book.ts';
import { runClients } from './clients.ts';
import { sendMalformedMessages } from './malformed-messages.ts';
import { createRandom } from '../support/random.ts';
import { runReaders } from './readers.ts';
import { startSampler } from './sampler.ts';
import { injectFaults } from './fault-injector.ts';
import { reachVerdict, type Verdict } from './verdict.ts';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
/** Enough for packs of several increments, and for two cores. */
const CONNECTIONS = 24;
const READERS = 4;

export interface TortureOptions {
  seed: number;
  /** For how long faults are injected. */
  durationMs: number;
  /** Where the services' code is: this project, unless it is to be shown that the torture can fail. */
  root?: string;
  /** One nats-server, or three and a standby for PostgreSQL. */
  natsNodes?: number;
  /** How many clients read. */
  readers?: number;
}

export async function torture(options: TortureOptions): Promise<Verdict> {
  const { seed, durationMs, root = PROJECT, natsNodes = 1, readers = READERS } = options;
  const random = createRandom(seed);
  const arena = await openTestCluster(root, natsNodes);
  try {
    const { database, gateways, counters, provisionerUrl, answerMsMax, losses } = arena;
    const book = openBook(random.fork());
    const sampler = startSampler(database, losses);
    const ending = new AbortController();
    const shared = { book, onAccepted: sampler.accepted, ending: ending.signal };
    const sending = Promise.all([
      runClients({
        ...shared,
        random: random.fork(),
        gateways,
        connections: CONNECTIONS,
        answerMsMax,
      }),
      sendMalformedMessages({ ...shared, random: random.fork(), url: provisionerUrl }),
    ]);
    const reading = runReaders({
      ...shared,
      random: random.fork(),
      gateways,
      connections: readers,
      losses,
    });
    const tormenting = injectFaults(arena, {
      random: random.fork(),
      sampler,
      ending: ending.signal,
    });
    // Whatever goes wrong with the torture itself ends it here.
    await Promise.race([delay(durationMs), sending, tormenting]);
    ending.abort();

    const harms = await tormenting;
    await sending;
    const reads = await reading;
    const verdict = await reachVerdict(arena, book, { seed, harms, sampler, reads, losses });
    const ends = [...gateways, ...counters].flatMap(({ unexpectedEnds }) => unexpectedEnds);
    return { ...verdict, problems: [...verdict.problems, ...ends] };
  } finally {
    await arena.close();
  }
}
