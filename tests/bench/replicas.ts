import { startThreeBrokers } from './harness/three-brokers.ts';
import { compareVariants } from './harness/variants.ts';

/** What it costs that the loss of a broker loses nothing. Here all three share one disk. */
export const replicas = compareVariants('the mesh with one broker and with a cluster of three', [
  { name: '1', about: 'one nats-server' },
  {
    name: '3',
    about: 'three nats-servers, each message synced by two before its 200',
    startBroker: startThreeBrokers,
  },
]);
