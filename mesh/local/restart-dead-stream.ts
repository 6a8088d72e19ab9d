/*
 * A nats-server whose disk was full stores nothing in that stream until it is restarted, though there is room
 * again, and answers nothing to what is published. Gateways see it, and say so in their heartbeats; here the
 * servers are restarted.
 */
import { statfsSync } from 'node:fs';
import { HEARTBEAT_SUBJECT, openChannel } from '../../nats/channel.ts';
import { connectToNats } from '../../nats/connect.ts';
import type { Heartbeat } from '../../schema/message/heartbeat.ts';
import type { Supervised } from './supervisor.ts';

/** How long all gateways that speak say so. */
const FAILED_MS_MIN = 3_000;
/** A restart that changed nothing is not repeated sooner. */
const PAUSE_MS = 30_000;
/** What a server needs to start and to write for a while. */
const FREE_BYTES_MIN = 16 * 1024 * 1024;

/** A stream that fails this long after the disk was full fails because of it. */
const FULL_BEFORE_MS_MAX = 30_000;

export interface StreamSightings {
  /** Since when no gateway was heard for which the stream stores; undefined if one was. */
  failedSince: number | undefined;
  /** When the disk had no room, last. */
  fullAt: number;
  restartedAt: number;
}

/** Whether a restart may help now. Times are of performance.now(). */
export function isRestartDue(
  { failedSince, fullAt, restartedAt }: StreamSightings,
  now: number,
): boolean {
  // A stream that is set to acknowledge nothing fails as well, and no restart helps it.
  if (failedSince === undefined || fullAt < failedSince - FULL_BEFORE_MS_MAX) return false;
  const hasRoom = now > fullAt;
  return hasRoom && now - failedSince >= FAILED_MS_MIN && now - restartedAt >= PAUSE_MS;
}

/**
 * Restarts our own brokers, one after the other, when their stream stays dead after its disk has room again.
 *
 * @param options.url the inspector's
 * @param options.store a folder on the disk of the stores
 * @returns a function that ends it
 */
export async function restartDeadStream(options: {
  url: string;
  servers: readonly Supervised[];
  store: string;
  say: (line: string) => void;
}): Promise<() => Promise<void>> {
  const { url, servers, store, say } = options;
  const connection = await connectToNats({ url, role: 'inspector' });
  const sightings: StreamSightings = {
    failedSince: undefined,
    fullAt: -Infinity,
    restartedAt: -Infinity,
  };
  let isRestarting = false;

  openChannel(connection, HEARTBEAT_SUBJECT).subscribe('gateway', (text) => {
    if (isRestarting) return;
    const now = performance.now();
    if (freeBytesOf(store) < FREE_BYTES_MIN) sightings.fullAt = now;
    if (!saysFailed(text)) sightings.failedSince = undefined;
    else sightings.failedSince ??= now;
    if (isRestartDue(sightings, now)) void restart();
  });

  async function restart(): Promise<void> {
    isRestarting = true;
    say(
      'the disk was full and has room again, but the stream stores nothing: restarting nats-server',
    );
    for (const server of servers) {
      await server.restart().catch((error: Error) => say(error.message));
    }
    sightings.failedSince = undefined;
    sightings.fullAt = -Infinity;
    sightings.restartedAt = performance.now();
    isRestarting = false;
  }

  return () => connection.close();
}

/** Any client of the broker may publish here; what can't be read says nothing. */
function saysFailed(text: string): boolean {
  try {
    const heartbeat = JSON.parse(text) as Heartbeat;
    const failure = heartbeat.name === 'gateway' && heartbeat.stats.store_problem?.failure;
    return failure === 'failed' || failure === 'silent';
  } catch {
    return false;
  }
}

function freeBytesOf(folder: string): number {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return 0;
  }
}
