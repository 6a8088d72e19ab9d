import { setImmediate as turn } from 'node:timers/promises';
import { createBuffer, createClient, type Client } from '../../client/src/main.ts';
import { makeKeys } from '../support/counters.ts';
import type { Contender } from './harness/contender.ts';
import { LoadFailed, type LoadShape, type Sent } from './harness/load.ts';
import { meshContender } from './harness/mesh.ts';

/** Calls of add() between two turns of the event loop, as a program has that does other things too. */
const ADDS_A_TURN = 1_000;

interface Load {
  client: Client;
  /** Requests at once. */
  connections: number;
  isOver: () => boolean;
  /** A key to add 1 to, which is in the books from then on. */
  nextKey: () => string;
}

/** What was sent for what was counted. */
type Counted = Pick<Sent, 'requests' | 'increments'>;

/** The mesh, and in place of wrk a program that counts with the client: this process. */
export function clientContenders(options: { gateways: number; counters: number }): Contender[] {
  return [
    {
      ...meshContender('client', '`client.increment()`: a request for each', options),
      send: sendBy(countSingly),
    },
    {
      ...meshContender('client-buffer', "the client's `buffer.add()`: sent in batches", options),
      send: sendBy(countInBuffer),
    },
  ];
}

/** Counts as fast as it can. A client does not say how long a request took. @throws LoadFailed */
function sendBy(count: (load: Load) => Promise<Counted>): NonNullable<Contender['send']> {
  return async (url: string, { keys: keyCount, connections, seconds }: LoadShape) => {
    const keys = makeKeys(keyCount);
    const sums = new Map<string, number>();
    let calls = 0;
    const startedAt = performance.now();
    const usedBefore = process.cpuUsage();
    const counted = await count({
      client: createClient({ url }),
      connections,
      isOver: () => performance.now() >= startedAt + seconds * 1_000,
      nextKey: () => {
        const key = keys[calls++ % keys.length] ?? '';
        sums.set(key, (sums.get(key) ?? 0) + 1);
        return key;
      },
    }).catch((cause: unknown) => {
      throw new LoadFailed(`the client gave up: ${(cause as Error).message}`, { cause });
    });
    const took = (performance.now() - startedAt) / 1_000;
    const { user, system } = process.cpuUsage(usedBefore);
    return {
      ...counted,
      sums,
      requestsPerSecond: counted.requests / took,
      incrementsPerSecond: calls / took,
      p50Ms: Number.NaN,
      p90Ms: Number.NaN,
      p99Ms: Number.NaN,
      maxMs: Number.NaN,
      cpuSeconds: (user + system) / 1e6,
    };
  };
}

async function countSingly({ client, connections, isOver, nextKey }: Load): Promise<Counted> {
  let requests = 0;
  const loops = Array.from({ length: connections }, async () => {
    while (!isOver()) {
      await client.increment(nextKey(), 1);
      requests++;
    }
  });
  await Promise.all(loops);
  return { requests, increments: requests };
}

async function countInBuffer({ client, isOver, nextKey }: Load): Promise<Counted> {
  const sent: Counted = { requests: 0, increments: 0 };
  const buffer = createBuffer({
    incrementMany: (increments, options) => {
      sent.requests++;
      sent.increments += increments.length;
      return client.incrementMany(increments, options);
    },
  });
  while (!isOver()) {
    await buffer.whenRoom();
    for (let adds = 0; adds < ADDS_A_TURN; adds++) buffer.add(nextKey(), 1);
    await turn();
  }
  await buffer.close();
  return sent;
}
