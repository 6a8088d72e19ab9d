import { randomUUIDv7 } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { jetstream } from '@nats-io/jetstream';
import { connectToNats } from '../../nats/connect.ts';
import { encodeEnvelope, encodeIncrement } from '../../schema/message/envelope.ts';
import { makeKeys } from '../support/counters.ts';
import { choose, type Benchmark } from './harness/benchmark.ts';
import { measureDisk } from './harness/disk.ts';
import { readUsage } from './harness/process-usage.ts';
import { withScope } from './harness/scope.ts';
import { makeFolder, startBroker } from './harness/servers.ts';
import { formatNumber, formatTable } from './harness/table.ts';
import { startThreeBrokers } from './harness/three-brokers.ts';
import type { BenchOptions } from './options.ts';

interface StreamShape {
  brokers: 1 | 3;
  /** Increments in each message. */
  pack: number;
}

export interface StreamRun extends StreamShape {
  seconds: number;
  messages: number;
  /** Of all brokers, and of the one program that publishes. */
  cpuSeconds: { brokers: number; publisher: number };
  routeBytes: number;
}

export interface StreamFigures {
  /** Times of single syncs on this disk, in milliseconds: the middle of each twentieth. */
  syncMs: number[];
  runs: StreamRun[];
}

const PUBLISHES_AT_ONCE = 256;
const SHAPES: StreamShape[] = [1, 3].flatMap((brokers) =>
  [1, 100, 500].map((pack) => ({ brokers: brokers === 1 ? 1 : 3, pack })),
);

/** How many messages the leader of one stream stores a second, with nothing but a publisher. */
export const streamLimit: Benchmark = {
  about: 'how many messages/s one stream takes, of 1 to 500 increments, on one and three brokers',
  run: async (options, say) => {
    const syncMs = await withScope(async (scope) =>
      twentieths(await measureDisk(makeFolder(scope))),
    );
    const runs: StreamRun[] = [];
    for (const shape of choose(SHAPES, options, ({ brokers, pack }) => `b${brokers}-${pack}`)) {
      const run = await publishAll(shape, options);
      say(`${shape.brokers} brokers, ${shape.pack} increments: ${rateOf(run)} messages/s`);
      runs.push(run);
    }
    const figures: StreamFigures = { syncMs, runs };
    return { report: report(runs), figures };
  },
};

function publishAll(shape: StreamShape, { seconds }: BenchOptions): Promise<StreamRun> {
  return withScope(async (scope) => {
    const folder = makeFolder(scope);
    const start = shape.brokers === 3 ? startThreeBrokers : startOne;
    const broker = await start(scope, folder);
    const connection = await connectToNats({ url: broker.urls.provisioner, role: 'provisioner' });
    scope.defer(() => connection.close());
    const client = jetstream(connection, { timeout: 30_000 });
    const increments = makeKeys(shape.pack).map((key) => encodeIncrement({ key, value: 5 }));
    const cpuOf = () =>
      broker.processes.reduce((sum, { pid }) => sum + (readUsage(pid)?.cpuSeconds ?? NaN), 0);

    const before = {
      brokers: cpuOf(),
      own: process.cpuUsage(),
      route: await broker.readRouteBytes(),
    };
    const until = performance.now() + seconds * 1_000;
    let messages = 0;
    const publishInTurn = async () => {
      while (performance.now() < until) {
        await client.publish('increments.replay', encodeEnvelope(randomUUIDv7(), increments));
        messages++;
      }
    };
    await Promise.all(Array.from({ length: PUBLISHES_AT_ONCE }, publishInTurn));
    const own = process.cpuUsage(before.own);
    return {
      ...shape,
      seconds,
      messages,
      cpuSeconds: {
        brokers: cpuOf() - before.brokers,
        publisher: (own.user + own.system) / 1e6,
      },
      routeBytes: (await broker.readRouteBytes()) - before.route,
    };
  });
}

async function startOne(...given: Parameters<typeof startBroker>) {
  return { ...(await startBroker(...given)), readRouteBytes: () => Promise.resolve(0) };
}

function twentieths(durations: number[]): number[] {
  const sorted = durations.toSorted((left, right) => left - right);
  return Array.from({ length: 20 }, (_, index) => {
    const middle = sorted[Math.floor(((index + 0.5) / 20) * sorted.length)] ?? NaN;
    return Number(middle.toFixed(3));
  });
}

function rateOf({ messages, seconds }: StreamRun): number {
  return Math.round(messages / seconds);
}

function report(runs: StreamRun[]): string {
  const rows = runs.map((run) => [
    `${run.brokers === 1 ? 'one broker' : 'three brokers'}, ${run.pack} increments`,
    ...[
      run.messages / run.seconds,
      (run.messages / run.seconds) * run.pack,
      (run.cpuSeconds.brokers / run.messages) * 1e6,
      run.cpuSeconds.publisher / run.seconds,
      run.routeBytes / run.messages,
    ].map(formatNumber),
  ]);
  return formatTable(
    [
      '',
      'messages/s',
      'increments/s',
      'brokers µs/message',
      'publisher cores',
      'route bytes/message',
    ],
    rows,
  );
}
