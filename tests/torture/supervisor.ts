import { setTimeout as delay } from 'node:timers/promises';
import {
  findProcesses,
  makeDataDir,
  startMesh,
  stopMesh,
  type MeshProcess,
} from '../mesh/mesh-process.ts';
import { openBook } from './book.ts';
import { runClients } from './clients.ts';
import { createRandom, type Random } from '../support/random.ts';
import { openInspection } from './inspection.ts';
import { startSampler, type Sampler } from './sampler.ts';
import type { Harm } from './fault-injector.ts';
import { reachVerdict, type Verdict } from './verdict.ts';

const CONNECTIONS = 12;
const FLUSH_INTERVAL_MS = 1_500;
/** Under load with the supervisor, and then without it. */
const WHOLE_MS = { least: 1_500, most: 4_000 };
const ORPHANED_MS = { least: 0, most: 2_500 };

export interface SupervisorTortureOptions {
  seed: number;
  rounds: number;
}

/**
 * Kills the supervisor of `npm start` under load, sometimes with its cleanup and with one of the
 * processes; then starts it again on the same folder, at once or later, which must lose nothing.
 */
export async function tortureSupervisor(options: SupervisorTortureOptions): Promise<Verdict> {
  const { seed, rounds } = options;
  const random = createRandom(seed);
  const endings: (() => unknown)[] = [];
  const dataDir = makeDataDir({ teardown: (end) => void endings.push(end) });
  const environment = { FLUSH_INTERVAL_MS: String(FLUSH_INTERVAL_MS) };
  let mesh = await startMesh({ dataDir, environment });
  endings.push(() => stopMesh(mesh));
  try {
    const scene = await openInspection(mesh.describe(), endings);
    const book = openBook(random.fork());
    const sampler = startSampler(scene.database);
    const ending = new AbortController();
    const sending = runClients({
      book,
      random: random.fork(),
      gateways: [{ name: 'a gateway', url: `http://127.0.0.1:${mesh.port}` }],
      connections: CONNECTIONS,
      onAccepted: sampler.accepted,
      ending: ending.signal,
    });
    const harms: Harm[] = [];
    for (let round = 0; round < rounds; round++) {
      await delay(random.between(WHOLE_MS.least, WHOLE_MS.most));
      const beganAt = performance.now();
      const targets = await orphan(mesh, random);
      mesh = await startMesh({ dataDir, port: mesh.port, environment });
      harms.push(noteHarm(targets, beganAt, sampler));
    }
    await delay(WHOLE_MS.least);
    ending.abort();
    await sending;
    return await reachVerdict(scene, book, { seed, harms, sampler });
  } finally {
    for (const end of endings.toReversed()) await end();
  }
}

/** Leaves the mesh to itself for a while: to its cleanup, or where that is killed too, to nobody. */
async function orphan(mesh: MeshProcess, random: Random): Promise<string> {
  const { gateways, counters, nats, postgres } = mesh.describe();
  const victims = [gateways[0]?.pid, counters[0]?.pid, nats[0]?.pid, postgres.pid];
  const victim = random.chance(0.5) ? random.pick(victims) : undefined;
  const hasCleanup = random.chance(0.5);
  if (!hasCleanup) {
    const isCleanup = ({ command }: { command: string }) => command.includes('end-orphans');
    process.kill(findProcesses(mesh.dataDir).find(isCleanup)!.pid, 'SIGKILL');
  }
  // npm, its shell and the supervisor; what they started has groups of its own.
  process.kill(-(mesh.child.pid ?? 0), 'SIGKILL');
  if (victim) process.kill(victim, 'SIGKILL');
  await mesh.exited;
  await delay(random.between(ORPHANED_MS.least, ORPHANED_MS.most));
  return `${hasCleanup ? 'alone' : 'with its cleanup'}${victim ? ` and pid ${victim}` : ''}`;
}

function noteHarm(targets: string, beganAt: number, sampler: Sampler): Harm {
  const endedAt = performance.now();
  const kind = 'supervisor killed';
  const harm: Harm = { kind, targets, beganAt, endedAt, recoveryMs: undefined };
  void sampler.whenRecovered().then(() => (harm.recoveryMs = performance.now() - endedAt));
  return harm;
}
