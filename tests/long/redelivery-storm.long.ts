import { randomUUIDv7 } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { connectToNats, watchConnection } from '../../nats/connect.ts';
import { createPuller } from '../../nats/pull.ts';
import { ackWaitMs } from '../../nats/streams.ts';
import { encodeEnvelope, encodeIncrement } from '../../schema/message/envelope.ts';
import { makeKeys, readTotal } from '../support/counters.ts';
import { startServers } from '../support/servers.ts';
import { startCounter } from '../support/services.ts';
import { openStreams } from '../support/stream.ts';
import { until } from '../support/until.ts';

/** As many as the broker delivers without an acknowledgement. */
const MESSAGES = 100_000;
const KEYS = 1_000;
const FLUSH_INTERVAL_MS = 9_000;
/** Twice what it takes where nothing else runs. */
const DRAINED_MS_MAX = 24_000;
/** Until those are purged, the broker delivers no others. */
const PURGED_MS_MAX = 6_000;
const PULL = { messagesMax: 500, bytesMax: 8 * 1024 * 1024, expiresMs: 1_000 };

void t.test(
  'a hundred thousand messages that come again wait for no second ack_wait',
  async (t) => {
    const servers = await startServers(t, { flushIntervalMs: FLUSH_INTERVAL_MS });
    const streams = await openStreams(t, servers);
    const keys = makeKeys(KEYS);
    const store = (count: number) =>
      streams.storeMany(count, (index) =>
        encodeEnvelope(randomUUIDv7(), [encodeIncrement({ key: keys[index % KEYS]!, value: 1 })]),
      );
    await store(MESSAGES);
    const lastDeliveredAt = await takeAndDie(servers.urls.nats.counter);
    const counters = [await startCounter(t, servers), await startCounter(t, servers)];
    await store(KEYS);

    await delay(lastDeliveredAt + ackWaitMs(FLUSH_INTERVAL_MS) - performance.now());
    const startedAt = performance.now();
    const untilAtLeast = (sum: number) =>
      until(
        `a total of ${sum}`,
        () => readTotal(servers.database),
        (total) => Number(total) >= sum,
        4 * DRAINED_MS_MAX,
      );
    await untilAtLeast(MESSAGES);
    const drainedMs = performance.now() - startedAt;
    t.ok(drainedMs < DRAINED_MS_MAX, `they were committed after ${Math.round(drainedMs)} ms`);
    await untilAtLeast(MESSAGES + KEYS);
    const purgedMs = performance.now() - startedAt - drainedMs;
    t.ok(purgedMs < PURGED_MS_MAX, `others were counted ${Math.round(purgedMs)} ms later`);
    await until('an empty stream', servers.inspect, ({ messages }) => messages === 0, 30_000);
    for (const counter of counters) t.equal(await counter.stop(), 0);
  },
);

/** Takes all messages as a counter service does, and acknowledges none. @returns when the last one came. */
async function takeAndDie(url: string): Promise<number> {
  const connection = await connectToNats({ url, role: 'counter' });
  const puller = createPuller(connection, watchConnection(connection));
  let taken = 0;
  let lastAt = 0;
  while (taken < MESSAGES) {
    await puller.pull(PULL, () => {
      taken++;
      lastAt = performance.now();
    });
  }
  await connection.close();
  return lastAt;
}
