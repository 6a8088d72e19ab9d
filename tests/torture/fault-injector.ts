import { setTimeout as delay } from 'node:timers/promises';
import type { TestCluster } from './test-cluster.ts';
import { clusterFaults } from './cluster-faults.ts';
import type { Fault, Target } from './fault.ts';
import { momentFaults } from './moment-faults.ts';
import { networkFaults } from './network-faults.ts';
import { operatorFaults } from './operator-faults.ts';
import { processFaults } from './process-faults.ts';
import type { Random } from '../support/random.ts';
import type { Sampler } from './sampler.ts';

const FAULTS: Fault[] = [...processFaults, ...momentFaults, ...networkFaults];
const FAULTS_OF_CLUSTER: Fault[] = [...FAULTS, ...clusterFaults, ...operatorFaults];

/** Faults that overlap find what single ones don't; more would leave too little alive to be hurt. */
const LANES = 2;
const PAUSE_MS = { least: 100, most: 900 };

export interface Harm {
  kind: string;
  targets: string;
  /** Times of performance.now(). */
  beganAt: number;
  endedAt: number;
  /** From the end of the fault until everything accepted before, and something new, was counted. */
  recoveryMs: number | undefined;
}

export interface FaultInjectorOptions {
  random: Random;
  sampler: Sampler;
  ending: AbortSignal;
}

/** Injects faults until the end, each kind as often as the others, and undoes them. */
export async function injectFaults(
  arena: TestCluster,
  options: FaultInjectorOptions,
): Promise<Harm[]> {
  const { random, sampler, ending } = options;
  const harms: Harm[] = [];
  const hurt = new Set<Target>();
  const faults = arena.brokers.length > 1 ? FAULTS_OF_CLUSTER : FAULTS;
  const deck: Fault[] = [];
  await Promise.all(Array.from({ length: LANES }, () => runLane(random.fork())));
  return harms;

  async function runLane(random: Random): Promise<void> {
    while (!ending.aborted) {
      await delay(random.between(PAUSE_MS.least, PAUSE_MS.most));
      const fault = draw();
      const targets = fault.aim(arena, random);
      if (targets.some((target) => hurt.has(target))) {
        // Not now; it comes again before any other kind comes twice.
        deck.splice(random.between(0, deck.length), 0, fault);
        continue;
      }
      await injure(fault, targets, random);
    }
  }

  async function injure(fault: Fault, targets: Target[], random: Random): Promise<void> {
    const beganAt = performance.now();
    targets.forEach((target) => hurt.add(target));
    const isDone = await fault.inflict(arena, random, targets);
    targets.forEach((target) => hurt.delete(target));
    if (!isDone) return void deck.push(fault);
    const endedAt = performance.now();
    const names = targets.map((target) => (typeof target === 'string' ? target : target.name));
    const harm: Harm = {
      kind: fault.kind,
      targets: names.join(', '),
      beganAt,
      endedAt,
      recoveryMs: undefined,
    };
    harms.push(harm);
    void sampler.whenRecovered().then(() => (harm.recoveryMs = performance.now() - endedAt));
  }

  function draw(): Fault {
    if (deck.length === 0) deck.push(...random.shuffle(faults));
    return deck.pop() as Fault;
  }
}
