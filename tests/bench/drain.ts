import { randomInt, randomUUIDv7 } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { jetstream } from '@nats-io/jetstream';
import { connectToNats } from '../../nats/connect.ts';
import { encodeEnvelope, encodeIncrement } from '../../schema/message/envelope.ts';
import { makeKeys, readCounters } from '../support/counters.ts';
import type { Benchmark } from './harness/benchmark.ts';
import { readLedger } from './harness/check-mesh.ts';
import { spreadOf } from './harness/median.ts';
import { readUsage, type Usage } from './harness/process-usage.ts';
import { withScope } from './harness/scope.ts';
import { makeFolder, startBroker, startDatabase, type Broker } from './harness/servers.ts';
import { startService } from './harness/start-service.ts';
import { compareSums } from './harness/sums.ts';
import { formatNumber, formatTable } from './harness/table.ts';
import type { BenchOptions } from './options.ts';

const PACK_INCREMENTS = 100;
const KEYS = 10_000;
/** Messages under way while the stream is filled; each waits for its own sync. */
const PUBLISHES_AT_ONCE = 256;
/** After this everything is due, so the counter never waits for anything to grow old. */
const DUE_MS = 10_000;
const POLL_MS = 100;

interface DrainRun {
  increments: number;
  seconds: number;
  incrementsPerSecond: number;
  counter: Usage | undefined;
  checked: string;
}

/** One counter alone with a full stream: from its start until the last increment is committed. */
export const drain: Benchmark = {
  about: `a counter alone draining packs of ${PACK_INCREMENTS} increments over ${KEYS} keys`,
  run: async (options, say) => {
    const runs: DrainRun[] = [];
    for (let round = 1; round <= options.rounds; round++) {
      const run = await drainOnce(options);
      say(`round ${round}: ${formatNumber(run.incrementsPerSecond)} increments/s, ${run.checked}`);
      runs.push(run);
    }
    return { report: report(runs), figures: runs };
  },
};

function drainOnce({ messages, profileFolder }: BenchOptions): Promise<DrainRun> {
  return withScope(async (scope) => {
    const folder = makeFolder(scope);
    const [broker, postgres] = await Promise.all([
      startBroker(scope, folder),
      startDatabase(scope, folder),
    ]);
    const expected = await fill(broker, messages);
    const increments = messages * PACK_INCREMENTS;
    await delay(DUE_MS);

    const counter = await startService(scope, 'counter', { broker, postgres, profileFolder });
    const startedAt = performance.now();
    while ((await readLedger(postgres.database)).increments < increments) await delay(POLL_MS);
    const seconds = (performance.now() - startedAt) / 1000;
    return {
      increments,
      seconds,
      incrementsPerSecond: increments / seconds,
      counter: readUsage(counter.pid),
      checked: compareSums(await readCounters(postgres.database), expected),
    };
  });
}

/** Stores packs as a foreign source would. Returns the sum that each key must have in the end. */
async function fill(broker: Broker, messages: number): Promise<Map<string, number>> {
  const keys = makeKeys(KEYS);
  const sums = new Map<string, number>();
  const connection = await connectToNats({ url: broker.urls.provisioner, role: 'provisioner' });
  const client = jetstream(connection, { timeout: 30_000 });
  let left = messages;
  const publishInTurn = async () => {
    while (left-- > 0) {
      const pack = Array.from({ length: PACK_INCREMENTS }, () => ({
        key: keys[randomInt(KEYS)] ?? '',
        value: randomInt(1, 1_000),
      }));
      for (const { key, value } of pack) sums.set(key, (sums.get(key) ?? 0) + value);
      const body = encodeEnvelope(randomUUIDv7(), pack.map(encodeIncrement));
      await client.publish('increments.replay', body);
    }
  };
  await Promise.all(Array.from({ length: PUBLISHES_AT_ONCE }, publishInTurn));
  await connection.close();
  return sums;
}

function report(runs: DrainRun[]): string {
  const rate = spreadOf(runs.map(({ incrementsPerSecond }) => incrementsPerSecond));
  const cpu = spreadOf(runs.map(({ counter }) => counter?.cpuSeconds ?? NaN));
  const memory = spreadOf(runs.map(({ counter }) => counter?.peakMib ?? NaN));
  return formatTable(
    ['', 'increments/s', 'spread', 'seconds', 'counter CPU s', 'peak MiB', 'sums checked'],
    [
      [
        `${formatNumber(runs[0]?.increments)} increments`,
        formatNumber(rate.median),
        `${formatNumber(rate.least)}–${formatNumber(rate.most)}`,
        formatNumber(spreadOf(runs.map(({ seconds }) => seconds)).median),
        formatNumber(cpu.median),
        formatNumber(memory.median),
        runs[0]?.checked ?? '',
      ],
    ],
  );
}
