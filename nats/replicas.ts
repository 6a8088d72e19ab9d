import { setTimeout as delay } from 'node:timers/promises';
import type {
  ClusterInfo,
  ConsumerInfo,
  JetStreamManager,
  StreamConfig,
  StreamInfo,
} from '@nats-io/jetstream';
import {
  isCurrent,
  isWholeWithoutAway,
  readClusterInfo,
  type BehindServer,
  type Replicas,
  type Sightings,
} from './replica-state.ts';
import { retryWhileLeaderless } from './retry-while-leaderless.ts';
import { COUNTER, INCREMENTS, INCREMENTS_DEAD } from './streams.ts';

export type { Replicas } from './replica-state.ts';

/** Thrown at the deadline; says which servers are behind and what to do. */
export class ReplicasBehind extends Error {
  override readonly name = 'ReplicasBehind';
  readonly replicas: Replicas[];

  constructor(timeoutMs: number, replicas: Replicas[]) {
    super(
      `not every replica is current after ${timeoutMs / 1000} s: ${describeBehind(replicas)}. The loss of ` +
        'another server could lose accepted increments: check that these servers run and reach the ' +
        'others (their logs), then run this again',
    );
    this.replicas = replicas;
  }
}

const POLL_MS = 250;
/** Enough to see each follower once with everything that its leader has. */
const LOOK_MS = 3_000;

/** Of both streams and the consumer. Looks that follow each other share `sightings`. */
export async function readReplicas(
  manager: JetStreamManager,
  sightings: Sightings = new Map(),
): Promise<Replicas[]> {
  const [increments, dead, consumer] = await Promise.all([
    manager.streams.info(INCREMENTS),
    manager.streams.info(INCREMENTS_DEAD),
    manager.consumers.info(INCREMENTS, COUNTER),
  ]);
  return replicasOf({ increments, dead, consumer }, { sightings, now: performance.now() });
}

/** Pure, of those that were read. */
export function replicasOf(
  { increments, dead, consumer }: BrokerAnswers,
  look: { sightings: Sightings; now: number },
): Replicas[] {
  const ofStream = increments.config.num_replicas;
  const read = (of: string, cluster: ClusterInfo | undefined, wanted: number) =>
    readClusterInfo(of, cluster, { wanted, ...look });
  const found = [read(INCREMENTS, increments.cluster, ofStream)];
  if (dead) found.push(read(INCREMENTS_DEAD, dead.cluster, dead.config.num_replicas));
  if (consumer) {
    // One without a number of its own has as many as its stream.
    const wanted = consumer.config.num_replicas || ofStream;
    found.push(read(`consumer ${COUNTER}`, consumer.cluster, wanted));
  }
  return found;
}

export interface BrokerAnswers {
  increments: StreamInfo;
  dead: StreamInfo | undefined;
  consumer: ConsumerInfo | undefined;
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
 * Resolves when as many servers as wanted have all of both streams and of the consumer: before that,
 * the loss of one could lose something.
 *
 * @param options.onWait called with what is not current, at each change.
 * @param options.awayMs how long to wait for a server that is away while all others have everything: a
 * mesh that runs goes on without it. By default, as long as for the others.
 * @throws ReplicasBehind, NoLeader
 */
export async function untilReplicasCurrent(
  manager: JetStreamManager,
  options: { timeoutMs: number; awayMs?: number; onWait?: (replicas: Replicas[]) => void },
): Promise<Replicas[]> {
  const { timeoutMs, awayMs = Infinity, onWait } = options;
  const deadline = performance.now() + timeoutMs;
  const sightings: Sightings = new Map();
  let reported = '';
  let wholeSince = Infinity;
  for (;;) {
    const replicas = await retryWhileLeaderless(() => readReplicas(manager, sightings));
    if (replicas.every(isCurrent)) return replicas;
    const now = performance.now();
    wholeSince = replicas.every(isWholeWithoutAway) ? Math.min(wholeSince, now) : Infinity;
    if (now - wholeSince > awayMs) return replicas;
    if (now > deadline) throw new ReplicasBehind(timeoutMs, replicas);
    const text = JSON.stringify(replicas);
    if (text !== reported) onWait?.(replicas);
    reported = text;
    await delay(POLL_MS);
  }
}

/** What is current, or is not after three seconds. @throws NoLeader */
export async function lookAtReplicas(manager: JetStreamManager): Promise<Replicas[]> {
  try {
    return await untilReplicasCurrent(manager, { timeoutMs: LOOK_MS });
  } catch (error) {
    if (error instanceof ReplicasBehind) return error.replicas;
    throw error;
  }
}

/** `INCREMENTS 2 of 3 (nats-2 is away)`, of each that is not current. */
export function describeBehind(replicas: Replicas[]): string {
  return replicas
    .filter((one) => !isCurrent(one))
    .map(({ of, current, wanted, behind }) => {
      const servers = behind.map(describeServer).join(', ') || 'the others are still unknown';
      return `${of} ${current} of ${wanted} (${servers})`;
    })
    .join('; ');
}

export function describeServer({ name, isAway }: BehindServer): string {
  return `${name} ${isAway ? 'is away' : 'is catching up'}`;
}
