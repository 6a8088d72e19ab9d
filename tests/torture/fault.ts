import type { Broker } from './brokers.ts';
import type { TestCluster, Member } from './test-cluster.ts';
import type { Random } from '../support/random.ts';

/** One way to do harm. */
export interface Fault {
  /** As the report names it. */
  kind: string;
  /** What it harms, so that no other fault touches the same meanwhile. */
  aim: (arena: TestCluster, random: Random) => Target[];
  /**
   * Does the harm and undoes it, so far as that does not happen by itself.
   *
   * @returns false where the moment that it waited for did not come.
   */
  inflict: (arena: TestCluster, random: Random, targets: Target[]) => Promise<boolean>;
}

/** `nats` is all of NATS, `mesh` what operators have set. */
export type Target = 'nats' | 'mesh' | 'postgres' | 'standby' | Broker | Member;

/** One at a time: of three, two must go on. */
export function oneBroker(arena: TestCluster, random: Random): Target[] {
  return ['nats', random.pick(arena.brokers)];
}

export function oneGateway(arena: TestCluster, random: Random): Target[] {
  return [random.pick(arena.gateways)];
}

export function oneCounter(arena: TestCluster, random: Random): Target[] {
  return [random.pick(arena.counters)];
}

/** The service among the targets of a fault that aims at one. */
export function memberOf(targets: Target[]): Member {
  for (const target of targets) if (typeof target !== 'string' && 'url' in target) return target;
  throw new Error('the fault aims at no service');
}

/** The nats-server among them. */
export function brokerOf(targets: Target[]): Broker {
  for (const target of targets) if (typeof target !== 'string' && 'routes' in target) return target;
  throw new Error('the fault aims at no nats-server');
}
