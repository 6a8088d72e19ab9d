import { sql } from 'kysely';
import { readMetrics, sumSamples } from '../support/metrics.ts';
import { choose, type Benchmark } from './harness/benchmark.ts';
import { runLoad, type LoadShape } from './harness/load.ts';
import { startMesh, type RunningMesh } from './harness/mesh.ts';
import { readUsage, type Usage } from './harness/process-usage.ts';
import { withScope } from './harness/scope.ts';
import { countMessages, makeFolder, startBroker, type Broker } from './harness/servers.ts';
import { formatNumber, formatTable } from './harness/table.ts';
import { startThreeBrokers } from './harness/three-brokers.ts';
import type { BenchOptions } from './options.ts';
import { ceiling } from './lineup.ts';
import { PREDICTED, type Point, type PointShape } from './scaling/point.ts';

const BASE = { gateways: 1, counters: 1, brokers: 1, keys: 1_000, connections: 64 } as const;

/** One thing is changed at a time; the last was predicted before it was measured. */
const SHAPES: PointShape[] = [
  { ...BASE, connections: 8 },
  BASE,
  { ...BASE, connections: 256 },
  { ...BASE, gateways: 2 },
  { ...BASE, gateways: 4 },
  { ...BASE, counters: 2 },
  { ...BASE, counters: 4 },
  { ...BASE, counters: 8 },
  { ...BASE, keys: 100_000 },
  { ...BASE, brokers: 3, connections: 8 },
  { ...BASE, brokers: 3 },
  { ...BASE, brokers: 3, connections: 256 },
  { gateways: 3, counters: 3, brokers: 3, keys: 300_000, connections: 128 },
  PREDICTED,
];

/**
 * What a mesh costs as it grows: CPU, bytes and rows of each part. All parts share this machine, so requests/s
 * say nothing about a larger mesh; what each request, message and row costs does.
 */
export const scaling: Benchmark = {
  about:
    'what a request, a message and a row cost each part, with more gateways, counters and brokers',
  run: async (options, say) => {
    const points: Point[] = [];
    for (const shape of choose(SHAPES, options, nameOf)) {
      for (let round = 0; round < options.rounds; round++) {
        const yardstickUs = await measureYardstick(options);
        const point = { ...(await measurePoint(shape, options)), yardstickUs };
        const rate = Math.round(point.requests / point.seconds);
        const yardstick = `${formatNumber(yardstickUs)} µs of CPU for a request that stores nothing`;
        say(`${nameOf(shape)}: ${rate} requests/s; before, ${yardstick}`);
        points.push(point);
      }
    }
    return { report: report(points), figures: points };
  },
};

/** What a request costs that stores nothing, now: machines differ, and so does one machine from hour to hour. */
function measureYardstick({ seconds, warmupSeconds }: BenchOptions): Promise<number> {
  return withScope(async (scope) => {
    const start = { folder: makeFolder(scope), profileFolder: undefined };
    const { url, processes } = await ceiling.start(scope, start);
    const load: LoadShape = {
      connections: BASE.connections,
      seconds,
      keys: 1_000,
      spread: 'uniform',
    };
    await runLoad(`${url}/increment`, { ...load, seconds: warmupSeconds });
    const cpuSeconds = () => readUsage(processes[0]!.pid)?.cpuSeconds ?? NaN;
    const before = cpuSeconds();
    const { requests } = await runLoad(`${url}/increment`, load);
    return ((cpuSeconds() - before) / requests) * 1e6;
  });
}

function nameOf({ gateways, counters, brokers, keys, connections }: PointShape): string {
  return `g${gateways}-c${counters}-b${brokers}-k${keys}-${connections}`;
}

/** @throws WrongSums */
function measurePoint(
  shape: PointShape,
  options: BenchOptions,
): Promise<Omit<Point, 'yardstickUs'>> {
  const { gateways, counters, brokers, keys, connections } = shape;
  const { seconds, warmupSeconds } = options;
  return withScope(async (scope) => {
    let readRouteBytes = () => Promise.resolve(0);
    const startThree = async (...given: Parameters<typeof startThreeBrokers>): Promise<Broker> => {
      const three = await startThreeBrokers(...given);
      readRouteBytes = three.readRouteBytes;
      return three;
    };
    const start = { folder: makeFolder(scope), profileFolder: undefined };
    const mesh = await startMesh(scope, start, {
      gateways,
      counters,
      startBroker: brokers === 3 ? startThree : startBroker,
    });
    const url = `${mesh.url}/increment`;
    const load: LoadShape = { connections, seconds, keys, spread: 'uniform' };
    const warmup = await runLoad(url, { ...load, seconds: warmupSeconds });
    await mesh.check([warmup]);
    const before = { ...(await read(mesh)), routeBytes: await readRouteBytes() };
    const sent = await runLoad(url, load);
    await mesh.check([warmup, sent]);
    const after = { ...(await read(mesh)), routeBytes: await readRouteBytes() };
    return {
      ...shape,
      seconds,
      requests: sent.requests,
      p50Ms: sent.p50Ms,
      p99Ms: sent.p99Ms,
      messages: after.messages - before.messages,
      rows: after.rows - before.rows,
      walBytes: after.walBytes - before.walBytes,
      routeBytes: after.routeBytes - before.routeBytes,
      cpuSeconds: mapKinds((kind) => cpuOf(after, kind) - cpuOf(before, kind)),
      peakMib: mapKinds((kind) =>
        Math.max(
          ...after.usages.filter((each) => each.kind === kind).map(({ usage }) => usage.peakMib),
        ),
      ),
    };
  });
}

const KINDS = ['gateway', 'broker', 'counter', 'postgres'] as const;
type Kind = (typeof KINDS)[number];

function mapKinds(read: (kind: Kind) => number): Record<Kind, number> {
  return {
    gateway: read('gateway'),
    broker: read('broker'),
    counter: read('counter'),
    postgres: read('postgres'),
  };
}

interface Reading {
  usages: { kind: Kind; usage: Usage }[];
  messages: number;
  rows: number;
  walBytes: number;
}

async function read(mesh: RunningMesh): Promise<Reading> {
  const { rows } = await sql<{ bytes: string }>`
    select pg_current_wal_insert_lsn() - '0/0' as bytes`.execute(mesh.postgres.database);
  const samples = await Promise.all(mesh.metrics.counters.map(readMetrics));
  return {
    usages: mesh.processes.flatMap(({ name, pid, isFamily }) => {
      const kind = KINDS.find((each) => name.startsWith(each)) ?? 'broker';
      const usage = readUsage(pid, isFamily);
      return usage === undefined ? [] : [{ kind, usage }];
    }),
    messages: await countMessages(mesh.broker),
    rows: sumSamples(samples.flat(), 'counter_rows_upserted_total'),
    walBytes: Number(rows[0]?.bytes),
  };
}

function cpuOf({ usages }: Reading, kind: Kind): number {
  return usages.reduce((sum, each) => sum + (each.kind === kind ? each.usage.cpuSeconds : 0), 0);
}

function report(points: Point[]): string {
  const rows = points.map((point) => {
    const { requests, messages, cpuSeconds, peakMib } = point;
    return [
      nameOf(point),
      ...[
        requests / point.seconds,
        point.p50Ms,
        point.p99Ms,
        requests / messages,
        (cpuSeconds.gateway / requests) * 1e6,
        (cpuSeconds.broker / messages) * 1e6,
        (cpuSeconds.counter / requests) * 1e6,
        (cpuSeconds.postgres / requests) * 1e6,
        point.rows,
        point.walBytes / (point.rows + messages),
        point.routeBytes / requests,
        peakMib.gateway,
        peakMib.counter,
      ].map(formatNumber),
    ];
  });
  return formatTable(
    [
      '',
      'requests/s',
      'p50 ms',
      'p99 ms',
      'pack',
      'gateway µs/request',
      'broker µs/message',
      'counter µs/request',
      'postgres µs/request',
      'rows',
      'WAL bytes/row',
      'route bytes/request',
      'gateway MiB',
      'counter MiB',
    ],
    rows,
  );
}
