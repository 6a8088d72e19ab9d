import { setTimeout as delay } from 'node:timers/promises';
import {
  JetStreamApiError,
  type ClusterInfo,
  type JetStreamManager,
  type StreamConfig,
} from '@nats-io/jetstream';
import { COUNTER, INCREMENTS, INCREMENTS_DEAD } from './topology.ts';

/** How many servers keep something, and how many of them have all of it. */
export interface Replicas {
  of: string;
  wanted: number;
  current: number;
  /** Those that lag or are away. */
  behind: string[];
}

const POLL_MS = 250;

/** Error codes of JetStream's API: no cluster, or too few servers in it, or too little room. */
const NO_PEERS_CODES = [10074, 10005, 10023];

/** Whether the broker refuses a number of replicas since it has not the servers for it. */
export function lacksServers(error: unknown): error is JetStreamApiError {
  return error instanceof JetStreamApiError && NO_PEERS_CODES.includes(error.code);
}

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

/** Changes how many servers keep each message. Counters and gateways work on meanwhile. */
export async function setReplicas(manager: JetStreamManager, replicas: number): Promise<void> {
  for (const stream of [INCREMENTS, INCREMENTS_DEAD]) {
    const { config } = await manager.streams.info(stream);
    const change: Partial<StreamConfig> = { ...config, num_replicas: replicas };
    if (config.num_replicas !== replicas) await manager.streams.update(stream, change);
  }
}

/**
 * Resolves when as many servers as wanted have all of both streams and of the consumer: before, the
 * loss of one could still lose something.
 *
 * @throws Error at the deadline, naming what is behind.
 */
export async function untilReplicasCurrent(
  manager: JetStreamManager,
  options: { deadlineMs: number; onChange?: (replicas: Replicas[]) => void },
): Promise<Replicas[]> {
  let seen = '';
  for (;;) {
    const replicas = await readDespiteLeaderChange(manager);
    const text = JSON.stringify(replicas);
    if (replicas.length > 0 && text !== seen) options.onChange?.(replicas);
    seen = text;
    if (replicas.length > 0 && replicas.every(isCurrent)) return replicas;
    if (performance.now() > options.deadlineMs) {
      throw new Error(`replicas are not current in time: ${text}`);
    }
    await delay(POLL_MS);
  }
}

export function isCurrent({ wanted, current }: Replicas): boolean {
  return current >= wanted;
}

/** A change of replicas can change leaders, who for a moment do not answer; then nothing is known. */
async function readDespiteLeaderChange(manager: JetStreamManager): Promise<Replicas[]> {
  try {
    return await readReplicas(manager);
  } catch (error) {
    if (error instanceof JetStreamApiError && error.status < 500) throw error;
    return [];
  }
}

function describe(of: string, wanted: number, cluster: ClusterInfo | undefined): Replicas {
  // A server that runs alone tells nothing of a cluster.
  if (cluster === undefined) return { of, wanted, current: 1, behind: [] };
  const others = cluster.replicas ?? [];
  const behind = others.filter(({ current, offline }) => !current || offline);
  const isLed = cluster.leader !== undefined && cluster.leader !== '';
  return {
    of,
    wanted,
    current: others.length - behind.length + (isLed ? 1 : 0),
    behind: behind.map(({ name }) => name),
  };
}
