import { setTimeout as delay } from 'node:timers/promises';
import type { ClusterInfo, JetStreamManager, StreamConfig } from '@nats-io/jetstream';
import { millis } from '@nats-io/transport-node';
import { retryWhileLeaderless } from './retry-while-leaderless.ts';
import { COUNTER, INCREMENTS, INCREMENTS_DEAD } from './streams.ts';

/** How many servers keep something, and how many of them have all of it. */
export interface Replicas {
  of: string;
  wanted: number;
  current: number;
  /** All that keep it, where the broker tells. */
  servers: string[];
  behind: BehindServer[];
}

export interface BehindServer {
  name: string;
  /** Else it runs and is catching up. */
  isAway: boolean;
}

/** Raised at the deadline; says which servers are behind and what to do. */
export class ReplicasBehind extends Error {
  override readonly name = 'ReplicasBehind';
  readonly replicas: Replicas[];

  constructor(message: string, replicas: Replicas[]) {
    super(message);
    this.replicas = replicas;
  }
}

const POLL_MS = 250;
/** A leader hears from each follower every second, but calls one current for ten after the last word. */
const SILENCE_MS_MAX = 4_000;
/** Some looks: a follower that keeps up is seen with everything in most of them. */
const KEPT_UP_MS = 2_000;

/** Of both streams and the consumer. */
export async function readReplicas(manager: JetStreamManager): Promise<Replicas[]> {
  const [increments, dead, counter] = await Promise.all([
    manager.streams.info(INCREMENTS),
    manager.streams.info(INCREMENTS_DEAD),
    manager.consumers.info(INCREMENTS, COUNTER),
  ]);
  const wanted = increments.config.num_replicas;
  return [
    describe(INCREMENTS, wanted, increments.cluster),
    describe(INCREMENTS_DEAD, dead.config.num_replicas, dead.cluster),
    // A consumer that says nothing else has as many as its stream.
    describe(`consumer ${COUNTER}`, counter.config.num_replicas || wanted, counter.cluster),
  ];
}

/**
 * Changes how many servers keep each message. For about ten seconds the stream then has no leader.
 *
 * @throws NoLeader
 */
export async function setReplicas(manager: JetStreamManager, replicas: number): Promise<void> {
  for (const stream of [INCREMENTS, INCREMENTS_DEAD]) {
    await retryWhileLeaderless(async () => {
      const { config } = await manager.streams.info(stream);
      const change: Partial<StreamConfig> = { ...config, num_replicas: replicas };
      if (config.num_replicas !== replicas) await manager.streams.update(stream, change);
    });
  }
}

/**
 * Resolves when as many servers as wanted have all of both streams and of the consumer: before, the
 * loss of one could still lose something. Under load a follower is a few messages behind at almost any
 * moment; one that was seen with all of them a moment ago keeps up.
 *
 * @param options.onWait is told what is awaited, each time that it changes.
 * @param options.awayMs how long a server is awaited that is away while a majority has everything: what
 * a mesh that runs goes on without. Left out, as long as the others.
 * @throws ReplicasBehind, NoLeader
 */
export async function untilReplicasCurrent(
  manager: JetStreamManager,
  options: { timeoutMs: number; awayMs?: number; onWait?: (replicas: Replicas[]) => void },
): Promise<Replicas[]> {
  const { timeoutMs, awayMs = Infinity, onWait } = options;
  const deadline = performance.now() + timeoutMs;
  const seenAt = new Map<string, number>();
  let seen = '';
  let awayAt = Infinity;
  for (;;) {
    const found = await retryWhileLeaderless(() => readReplicas(manager));
    const replicas = found.map((one) => forgive(one, seenAt));
    if (replicas.every(isCurrent)) return replicas;
    awayAt = replicas.every(isWhole) ? Math.min(awayAt, performance.now()) : Infinity;
    if (performance.now() - awayAt > awayMs) return replicas;
    if (performance.now() > deadline) {
      throw new ReplicasBehind(
        `after ${timeoutMs / 1000} s not every replica is current: ${describeBehind(replicas)}. ` +
          'The loss of another server could lose what was accepted: see that these servers run and reach ' +
          'the others (their logs), then repeat this',
        replicas,
      );
    }
    const text = JSON.stringify(replicas);
    if (text !== seen) onWait?.(replicas);
    seen = text;
    await delay(POLL_MS);
  }
}

/**
 * Takes those for current that were it a moment ago and are not away.
 *
 * @param seenAt when each was last seen with everything, which is noted here.
 */
export function forgive(
  replicas: Replicas,
  seenAt: Map<string, number>,
  now = performance.now(),
): Replicas {
  const { of, servers, behind } = replicas;
  const idOf = (server: string) => `${of} ${server}`;
  for (const server of servers) {
    if (!behind.some(({ name }) => name === server)) seenAt.set(idOf(server), now);
  }
  const keepsUp = (server: string) => now - (seenAt.get(idOf(server)) ?? -Infinity) <= KEPT_UP_MS;
  const left = behind.filter(({ name, isAway }) => isAway || !keepsUp(name));
  return { ...replicas, current: replicas.current + behind.length - left.length, behind: left };
}

export function isCurrent({ wanted, current }: Replicas): boolean {
  return current >= wanted;
}

/** Whether all that it lacks is a minority that is away, and nobody has anything to copy. */
function isWhole({ wanted, current, behind }: Replicas): boolean {
  const areKnown = current + behind.length >= wanted;
  return areKnown && current > wanted / 2 && behind.every(({ isAway }) => isAway);
}

/** `INCREMENTS 2 of 3 (nats-2 is away)`, of each that is not current. */
export function describeBehind(replicas: Replicas[]): string {
  return replicas
    .filter((one) => !isCurrent(one))
    .map(({ of, current, wanted, behind }) => {
      const servers = behind.map(describeServer).join(', ') || 'the others are not known yet';
      return `${of} ${current} of ${wanted} (${servers})`;
    })
    .join('; ');
}

export function describeServer({ name, isAway }: BehindServer): string {
  return `${name} ${isAway ? 'is away' : 'is catching up'}`;
}

function describe(of: string, wanted: number, cluster: ClusterInfo | undefined): Replicas {
  // A server that runs alone tells nothing of a cluster.
  if (cluster === undefined) return { of, wanted, current: 1, servers: [], behind: [] };
  const others = cluster.replicas ?? [];
  const behind = others
    .map(({ name, current, offline, active }) => ({
      name,
      isCurrent: current,
      // A new leader has not heard at all, which is 0, of one that died before.
      isAway: offline || millis(active) > SILENCE_MS_MAX || (active === 0 && !current),
    }))
    .filter(({ isCurrent, isAway }) => isAway || !isCurrent);
  const { leader = '' } = cluster;
  const servers = [...(leader === '' ? [] : [leader]), ...others.map(({ name }) => name)];
  return {
    of,
    wanted,
    current: servers.length - behind.length,
    servers,
    behind: behind.map(({ name, isAway }) => ({ name, isAway })),
  };
}
