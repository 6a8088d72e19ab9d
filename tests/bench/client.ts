import { randomUUID } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { createBuffer, createClient, type Client } from '../../client/src/main.ts';
import { choose, type Benchmark } from './harness/benchmark.ts';
import type { Sent } from './harness/load.ts';
import { medianOf } from './harness/median.ts';
import { startMesh } from './harness/mesh.ts';
import { withScope } from './harness/scope.ts';
import { makeFolder } from './harness/servers.ts';
import { formatNumber, formatTable } from './harness/table.ts';
import type { BenchOptions } from './options.ts';

/** Calls of add() between two turns of the event loop, as a program has that does other things too. */
const ADDS_A_TURN = 1_000;

interface Way {
  name: string;
  about: string;
  count: (client: Client, load: Load) => Promise<Counted>;
}

interface Load {
  keys: string[];
  connections: number;
  /** Of performance.now(). */
  until: number;
  tally: (key: string) => void;
}

/** What was sent for what was counted. */
type Counted = Pick<Sent, 'requests' | 'increments'>;

interface Run {
  way: string;
  round: number;
  countsPerSecond: number;
  requestsPerSecond: number;
  cpuMicroseconds: number;
}

const WAYS: Way[] = [
  { name: 'single', about: 'client.increment(), a request for each', count: countSingly },
  { name: 'buffer', about: 'buffer.add(), which sends batches', count: countInBuffer },
];

/** One process counts with the client, as fast as it can. */
export const client: Benchmark = {
  about: 'the client in one process: a request for each increment, against its buffer',
  run: async (options, say) => {
    const ways = choose(WAYS, options, ({ name }) => name);
    const runs: Run[] = [];
    for (let round = 1; round <= options.rounds; round++) {
      for (const way of ways) {
        const run = await runOnce(way, round, options);
        say(`round ${round}  ${way.name}: ${Math.round(run.countsPerSecond)} increments/s`);
        runs.push(run);
      }
    }
    const base = medianOf(runsOf(ways[0]).map(({ countsPerSecond }) => countsPerSecond));
    const rows = ways.map((way) => {
      const median = (field: keyof Omit<Run, 'way' | 'round'>) =>
        medianOf(runsOf(way).map((run) => run[field]));
      return [
        way.name,
        formatNumber(median('countsPerSecond')),
        (median('countsPerSecond') / base).toFixed(2),
        formatNumber(median('requestsPerSecond')),
        formatNumber(median('cpuMicroseconds')),
      ];
    });
    const headings = ['', 'increments/s', '×', 'requests/s', 'CPU µs/increment, client'];
    const notes = ways.map(({ name, about }) => `${name}: ${about}`).join('\n');
    return { report: `${formatTable(headings, rows)}\n\n${notes}`, figures: runs };

    function runsOf(way: Way | undefined): Run[] {
      return runs.filter(({ way: name }) => name === way?.name);
    }
  },
};

/** On a mesh of its own. @throws WrongSums */
function runOnce(way: Way, round: number, options: BenchOptions): Promise<Run> {
  const { seconds, connections, gateways, counters, profileFolder } = options;
  return withScope(async (scope) => {
    const start = { folder: makeFolder(scope), profileFolder };
    const mesh = await startMesh(scope, start, { gateways, counters });
    const keys = Array.from({ length: options.keys }, () => randomUUID());
    const sums = new Map<string, number>();
    const tally = (key: string) => void sums.set(key, (sums.get(key) ?? 0) + 1);

    const startedAt = performance.now();
    const usedBefore = process.cpuUsage();
    const until = startedAt + seconds * 1_000;
    const { requests, increments } = await way.count(createClient({ url: mesh.url }), {
      keys,
      connections,
      until,
      tally,
    });
    const took = (performance.now() - startedAt) / 1_000;
    const used = process.cpuUsage(usedBefore);

    await mesh.check([{ ...UNMEASURED, requests, increments, sums }]);
    const counted = [...sums.values()].reduce((left, right) => left + right, 0);
    return {
      way: way.name,
      round,
      countsPerSecond: counted / took,
      requestsPerSecond: requests / took,
      cpuMicroseconds: (used.user + used.system) / counted,
    };
  });
}

/** What the check does not look at. */
const UNMEASURED = {
  requestsPerSecond: Number.NaN,
  p50Ms: Number.NaN,
  p90Ms: Number.NaN,
  p99Ms: Number.NaN,
  maxMs: Number.NaN,
  cpuSeconds: undefined,
};

async function countSingly(client: Client, load: Load): Promise<Counted> {
  let requests = 0;
  const loops = Array.from({ length: load.connections }, async () => {
    while (performance.now() < load.until) {
      const key = pick(load.keys, requests++);
      await client.increment(key, 1);
      load.tally(key);
    }
  });
  await Promise.all(loops);
  return { requests, increments: requests };
}

async function countInBuffer(client: Client, load: Load): Promise<Counted> {
  const sent: Counted = { requests: 0, increments: 0 };
  const buffer = createBuffer({
    incrementMany: (increments, options) => {
      sent.requests++;
      sent.increments += increments.length;
      return client.incrementMany(increments, options);
    },
  });
  for (let count = 0; performance.now() < load.until;) {
    await buffer.whenRoom();
    for (let adds = 0; adds < ADDS_A_TURN; adds++) {
      const key = pick(load.keys, count++);
      buffer.add(key, 1);
      load.tally(key);
    }
    await turn();
  }
  await buffer.close();
  return sent;
}

function pick(keys: string[], index: number): string {
  return keys[index % keys.length] ?? '';
}
