import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { INCREMENTS } from '../../nats/streams.ts';
import { startMesh, stopMesh, type MeshProcess } from '../mesh/mesh-process.ts';
import { freezeTree, sendSignal } from '../support/freeze.ts';
import { livingProcess } from '../support/living-process.ts';
import { mountLoopDisk, type LoopDisk } from '../support/loop-disk.ts';
import { findProcessTree } from '../support/process-tree.ts';
import { createRandom } from '../support/random.ts';
import { until } from '../support/until.ts';
import { openBook, type Book, type Outcome } from './book.ts';
import { runClients } from './clients.ts';
import { openInspection } from './inspection.ts';
import { startSampler } from './sampler.ts';
import { reachVerdict, type Inspection, type Verdict } from './verdict.ts';

const CONNECTIONS = 32;
/** Several flushes are behind a cut, and much is accepted that none has taken. */
const FLUSH_INTERVAL_MS = 2_000;
/** The kernel writes by itself what has changed 30 s ago; a mesh has started and served by then. */
const LOADED_MS = { least: 4_000, most: 8_000 };
const ACCEPTED_MIN = 500;
/** What was begun before the cut is sent again, and the mesh takes new increments. */
const AFTERWARDS_MS = 1_000;

export interface PowerLossOptions {
  seed: number;
  cuts: number;
  /** Else the kernel has written what the first start wrote by then, as it does within half a minute. */
  isSoonAfterStart?: boolean;
}

export interface PowerCut {
  number: number;
  /** Requests that were answered 200 between the cut before and this one. */
  accepted: number;
  /** Requests of this round of which nobody knows whether they were stored. */
  inDoubt: number;
  /** In use since the first start. */
  keys: number;
  /** Of everything since the first start. */
  verdict: Verdict;
}

/**
 * Cuts the power of a machine that runs `npm start` under load, again and again: what was not synced is
 * gone, a mesh starts on the rest, and when it is quiet every count is compared with what clients were
 * told.
 */
export async function* cutPower(options: PowerLossOptions): AsyncGenerator<PowerCut> {
  const { seed, cuts, isSoonAfterStart = false } = options;
  const random = createRandom(seed);
  const endings: (() => unknown)[] = [];
  try {
    const disk = await mountLoopDisk();
    endings.push(disk.remove);
    const dataDir = join(disk.path, 'data');
    const environment = { FLUSH_INTERVAL_MS: String(FLUSH_INTERVAL_MS) };
    let mesh = await startMesh({ dataDir, environment });
    endings.push(() => stopMesh(mesh));
    // Addresses and passwords are on the disk too, and stay the same.
    const scene = await openInspection(mesh.describe(), endings);
    const book = openBook(random.fork());
    if (!isSoonAfterStart) await disk.sync();

    for (let number = 1; number <= cuts; number++) {
      const before = countRequests(book);
      const sampler = startSampler(scene.database);
      const ending = new AbortController();
      endings.push(sampler.stop, () => ending.abort());
      const sending = runClients({
        book,
        random: random.fork(),
        gateways: [{ name: 'a gateway', url: `http://127.0.0.1:${mesh.port}` }],
        connections: CONNECTIONS,
        onAccepted: sampler.accepted,
        ending: ending.signal,
      });
      await delay(random.between(LOADED_MS.least, LOADED_MS.most));
      const hasLoad = () => countRequests(book).accepted - before.accepted >= ACCEPTED_MIN;
      await until(`${ACCEPTED_MIN} requests answered 200`, hasLoad);
      // Every other cut is where a commit is youngest that the broker relies on.
      if (number % 2 === 1) await untilSettled(scene);
      await losePower(mesh, disk);
      const accepted = countRequests(book).accepted - before.accepted;

      await disk.bringBack();
      mesh = await startMesh({ dataDir, port: mesh.port, environment });
      await delay(AFTERWARDS_MS);
      ending.abort();
      await sending;
      const verdict = await reachVerdict(scene, book, { seed, harms: [], sampler });
      const inDoubt = countRequests(book).inDoubt - before.inDoubt;
      const keys = new Set(book.increments.map(({ key }) => key)).size;
      yield { number, accepted, inDoubt, keys, verdict };
    }
  } finally {
    for (const end of endings.toReversed()) await end();
  }
}

/** Resolves when the broker has just forgotten messages, since the database has them. */
async function untilSettled({ inspector }: Inspection): Promise<void> {
  const readFirst = async () => (await inspector.streams.info(INCREMENTS)).state.first_seq;
  const first = await readFirst();
  await until('settled messages', readFirst, (now) => now > first);
}

/** All stands still at once, and what is on the disk then is kept. */
async function losePower(mesh: MeshProcess, disk: LoopDisk): Promise<void> {
  const { postgres } = mesh.describe();
  const frozen = await freezeTree(mesh.child.pid!);
  try {
    await disk.keepSynced();
  } finally {
    await endFrozen(frozen, postgres.pid!);
  }
}

/**
 * What they did from here on would be after the cut, so no service goes on. PostgreSQL ends by itself, at
 * once, since it has to give back the memory that its processes share.
 */
async function endFrozen(frozen: number[], postgres: number): Promise<void> {
  const ofPostgres = findProcessTree(postgres).map(({ pid }) => pid);
  const identities = frozen.map(livingProcess);
  for (const pid of frozen) if (!ofPostgres.includes(pid)) sendSignal(pid, 'SIGKILL');
  sendSignal(postgres, 'SIGQUIT');
  for (const pid of ofPostgres) sendSignal(pid, 'SIGCONT');
  const isGone = () => frozen.every((pid, index) => livingProcess(pid) !== identities[index]);
  await until('the end of all processes', isGone);
}

function countRequests(book: Book): { accepted: number; inDoubt: number } {
  const attempts = new Set(book.increments.flatMap((increment) => increment.attempts));
  const outcomes = [...attempts].map(({ outcome }) => outcome);
  const count = (wanted: Outcome) => outcomes.filter((outcome) => outcome === wanted).length;
  return { accepted: count('accepted'), inDoubt: count('unknown') };
}

/** In one line, for the log of the test. */
export function describeCut({ number, accepted, inDoubt, keys, verdict }: PowerCut): string {
  const { increments, counted, wrong, copiesRefused, quietAfterMs } = verdict;
  const wrongKeys = new Set(wrong.flatMap((one) => one.keys ?? [])).size;
  return (
    `cut ${number}: ${accepted} requests answered 200 before it, ${inDoubt} in doubt; quiet after ` +
    `${(quietAfterMs / 1_000).toFixed(1)} s; ${counted} of ${increments} increments counted, ` +
    `${copiesRefused} copies refused; ` +
    `${wrongKeys === 0 ? 'exact' : `${wrongKeys} wrong`} of ${keys} keys`
  );
}

/** How often each was found. */
export function summarize(problems: string[]): string[] {
  return [...Map.groupBy(problems, (problem) => problem)].map(
    ([problem, all]) => `${all.length} × ${problem}`,
  );
}
