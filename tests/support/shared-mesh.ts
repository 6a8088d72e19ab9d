import root from 'tap';
import { startServers, type Servers } from './servers.ts';
import { startCounter, startGateway, type Service } from './services.ts';
import { openStreams, type StreamAccess } from './stream.ts';

const FLUSH_INTERVAL_MS = 300;

/*
 * Servers, a gateway and a counter for all tests of a file that only look at keys of their own, and end
 * and freeze nothing. Each is started when it is first asked for.
 */

export interface SharedServers {
  servers: Servers;
  streams: StreamAccess;
}

let servers: Promise<SharedServers> | undefined;
let gateway: Promise<Service> | undefined;
let counter: Promise<Service> | undefined;

export function shareServers(): Promise<SharedServers> {
  servers ??= startServers(root, { flushIntervalMs: FLUSH_INTERVAL_MS }).then(async (started) => ({
    servers: started,
    streams: await openStreams(root, started),
  }));
  return servers;
}

export function shareGateway(): Promise<Service> {
  gateway ??= shareServers().then((shared) => startGateway(root, shared.servers));
  return gateway;
}

export function shareCounter(): Promise<Service> {
  const interval = { FLUSH_INTERVAL_MS: String(FLUSH_INTERVAL_MS) };
  counter ??= shareServers().then((shared) => startCounter(root, shared.servers, interval));
  return counter;
}

/** All of them. */
export async function shareMesh(): Promise<SharedServers & Record<'gateway' | 'counter', Service>> {
  const [shared, gatewayService, counterService] = await Promise.all([
    shareServers(),
    shareGateway(),
    shareCounter(),
  ]);
  return { ...shared, gateway: gatewayService, counter: counterService };
}
