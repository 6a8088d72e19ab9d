import root from 'tap';
import { startServers, type Servers } from './servers.ts';
import { startCounter, startGateway, type Service } from './services.ts';
import { openStreams, type StreamAccess } from './stream.ts';

export interface SharedMesh {
  servers: Servers;
  gateway: Service;
  counter: Service;
  streams: StreamAccess;
}

const FLUSH_INTERVAL_MS = 300;

let started: Promise<SharedMesh> | undefined;

/**
 * A gateway and a counter on servers of theirs, for all tests of a process that only look at keys of
 * their own, and end and freeze nothing.
 */
export function shareMesh(): Promise<SharedMesh> {
  started ??= start();
  return started;
}

async function start(): Promise<SharedMesh> {
  const servers = await startServers(root, { flushIntervalMs: FLUSH_INTERVAL_MS });
  const [gateway, counter, streams] = await Promise.all([
    startGateway(root, servers),
    startCounter(root, servers, { FLUSH_INTERVAL_MS: String(FLUSH_INTERVAL_MS) }),
    openStreams(root, servers),
  ]);
  return { servers, gateway, counter, streams };
}
