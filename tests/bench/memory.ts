import { randomUUIDv7 } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { jetstream } from '@nats-io/jetstream';
import { connectToNats, watchConnection } from '../../nats/connect.ts';
import { createPuller } from '../../nats/pull.ts';
import { counterConsumer } from '../../nats/streams.ts';
import { encodeEnvelope, encodeIncrement } from '../../schema/message/envelope.ts';
import { makeKeys } from '../support/counters.ts';
import type { Benchmark } from './harness/benchmark.ts';
import { readUsage } from './harness/process-usage.ts';
import { withScope, type Scope } from './harness/scope.ts';
import { makeFolder, startBroker, startDatabase, type Broker } from './harness/servers.ts';
import { startService } from './harness/start-service.ts';
import { formatNumber, formatTable } from './harness/table.ts';

/** Below the half of KEYS_HELD_MAX, at which a counter flushes. */
const KEYS = 120_000;
const PACK_INCREMENTS = 100;
const PENDING = counterConsumer({ flushIntervalMs: 9_000 }).max_ack_pending;
const PULL = { messagesMax: 2_000, bytesMax: 8 * 1024 * 1024, expiresMs: 1_000 };
const PUBLISHES_AT_ONCE = 256;
const MIB = 1024 * 1024;

interface Held {
  what: string;
  count: number;
  beforeMib: number;
  afterMib: number;
}

/** Resident memory, garbage and caches with it: what has to be there, not what is used at least. */
export const memory: Benchmark = {
  about: 'memory of a counter for each key it holds, of nats-server for each pending message',
  run: async () => {
    const figures = [
      await withScope((scope) => holdKeys(scope)),
      await withScope((scope) => holdPending(scope)),
    ];
    const rows = figures.map(({ what, count, beforeMib, afterMib }) => [
      what,
      formatNumber(count),
      formatNumber(beforeMib),
      formatNumber(afterMib),
      formatNumber(((afterMib - beforeMib) * MIB) / count),
    ]);
    const header = ['', 'held', 'MiB before', 'MiB with them', 'bytes each'];
    return { report: formatTable(header, rows), figures };
  },
};

async function holdKeys(scope: Scope): Promise<Held> {
  const folder = makeFolder(scope);
  const [broker, postgres] = await Promise.all([
    startBroker(scope, folder),
    startDatabase(scope, folder),
  ]);
  const counter = await startService(scope, 'counter', { broker, postgres });
  const beforeMib = residentMib(counter.pid);
  const keys = makeKeys(KEYS);
  await fill(broker, KEYS / PACK_INCREMENTS, (index) =>
    keys.slice(index * PACK_INCREMENTS, (index + 1) * PACK_INCREMENTS),
  );
  const held = new RegExp(`^counter_messages_held(\\{.*\\})? ${KEYS / PACK_INCREMENTS}$`, 'm');
  while (!held.test(await (await fetch(counter.metricsUrl)).text())) await delay(50);
  return { what: 'keys, in a counter', count: KEYS, beforeMib, afterMib: residentMib(counter.pid) };
}

async function holdPending(scope: Scope): Promise<Held> {
  const broker = await startBroker(scope, makeFolder(scope));
  const [key = ''] = makeKeys(1);
  await fill(broker, PENDING, () => [key]);
  const connection = await connectToNats({ url: broker.urls.counter, role: 'counter' });
  scope.defer(() => connection.close());
  const puller = createPuller(connection, watchConnection(connection));
  const pid = broker.processes[0]!.pid;
  const beforeMib = residentMib(pid);
  let pending = 0;
  while (pending < PENDING) await puller.pull(PULL, () => pending++);
  const afterMib = residentMib(pid);
  return { what: 'pending messages, in nats-server', count: pending, beforeMib, afterMib };
}

/** Stores envelopes of one increment for each key. */
async function fill(
  broker: Broker,
  messages: number,
  keysOf: (index: number) => string[],
): Promise<void> {
  const connection = await connectToNats({ url: broker.urls.provisioner, role: 'provisioner' });
  const client = jetstream(connection, { timeout: 30_000 });
  let next = 0;
  const publishInTurn = async () => {
    while (next < messages) {
      const increments = keysOf(next++).map((key) => encodeIncrement({ key, value: 5 }));
      await client.publish('increments.replay', encodeEnvelope(randomUUIDv7(), increments));
    }
  };
  await Promise.all(Array.from({ length: PUBLISHES_AT_ONCE }, publishInTurn));
  await connection.close();
}

function residentMib(pid: number): number {
  return readUsage(pid)?.residentMib ?? NaN;
}
