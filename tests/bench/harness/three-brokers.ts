import { provision } from '../../../nats/provision.ts';
import { startCluster } from '../../nats/cluster-servers.ts';
import type { Scope } from './scope.ts';
import type { Broker } from './servers.ts';

/** A cluster of three nats-servers, which share the disk and the cores. */
export async function startThreeBrokers(
  scope: Scope,
  folder: string,
): Promise<Broker & { readRouteBytes: () => Promise<number> }> {
  const cluster = await startCluster(folder);
  scope.defer(() => cluster.stop());
  await provision({ url: cluster.url('provisioner'), replicas: 3, flushIntervalMs: 9_000 });
  return {
    processes: cluster.processes,
    urls: {
      gateway: cluster.url('gateway'),
      counter: cluster.url('counter'),
      inspector: cluster.url('inspector'),
      operator: cluster.url('operator'),
      provisioner: cluster.url('provisioner'),
    },
    readRouteBytes: cluster.readRouteBytes,
  };
}
