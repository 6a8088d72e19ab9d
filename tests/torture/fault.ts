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

export type Target = 'nats' | 'postgres' | Member;

export function oneGateway(arena: TestCluster, random: Random): Target[] {
  return [random.pick(arena.gateways)];
}

export function oneCounter(arena: TestCluster, random: Random): Target[] {
  return [random.pick(arena.counters)];
}

/** The service among the targets of a fault that aims at one. */
export function memberOf(targets: Target[]): Member {
  const member = targets.find((target) => typeof target !== 'string');
  if (member === undefined) throw new Error('the fault aims at no service');
  return member;
}
