import { provision } from '../../nats/provision.ts';
import { startCluster } from '../nats/cluster-servers.ts';
import type { Scope } from './harness/scope.ts';
import type { Broker } from './harness/servers.ts';
import { compareVariants } from './harness/variants.ts';

/** What it costs that the loss of a broker loses nothing. Here all three share one disk. */
export const replicas = compareVariants('the mesh with one broker and with a cluster of three', [
  { name: '1', about: 'one nats-server' },
  {
    name: '3',
    about: 'three nats-servers, each message synced by two before its 200',
    startBroker: startThree,
  },
]);

async function startThree(scope: Scope, folder: string): Promise<Broker> {
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
  };
}
