import { randomUUIDv7 } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { encodeEnvelope, encodeIncrement } from '../../schema/message/envelope.ts';
import { makeKeys, untilTotal } from '../support/counters.ts';
import { startServers } from '../support/servers.ts';
import { startCounter } from '../support/services.ts';
import { openStreams } from '../support/stream.ts';
import { until } from '../support/until.ts';

const BATCHES = 1_200;
const INCREMENTS = 10_000;
const DEAD_LETTERS = 60_000;
const WAITING_MIN = 40_000;
/** Two seconds of pulls or of dead letters, one of flushes and of settling each, and a machine that is busy. */
const STOP_MS_MAX = 9_000;

void t.test('a stop does not wait for the end of a backlog, and counts it once', async (t) => {
  const servers = await startServers(t);
  const streams = await openStreams(t, servers);
  const keys = makeKeys(100);
  const written = Array.from({ length: INCREMENTS }, (_, index) =>
    encodeIncrement({ key: keys[index % keys.length]!, value: 1 }),
  );
  const body = encodeEnvelope('ID', written);
  for (let stored = 0; stored < BATCHES; stored += 100)
    await streams.storeMany(100, () => body.replace('ID', randomUUIDv7()));

  const counter = await startCounter(t, servers);
  await delay(500);
  const stoppedAt = performance.now();
  t.equal(await counter.stop(), 0);
  const tookMs = performance.now() - stoppedAt;
  t.ok(tookMs < STOP_MS_MAX, `a stop takes ${Math.round(tookMs)} ms`);
  const { messages, ackPending } = await servers.inspect();
  t.ok(messages > 0, 'a backlog is left');
  t.equal(ackPending, 0, 'and nothing of it is held');

  await startCounter(t, servers);
  await untilTotal(servers.database, BATCHES * INCREMENTS, 60_000);
});

void t.test('a stop does not wait until all dead letters are sent', async (t) => {
  const servers = await startServers(t);
  const streams = await openStreams(t, servers);
  await streams.storeMany(DEAD_LETTERS, (index) => `malformed ${index}`);
  const countWaiting = async () => {
    const [row] = await servers.database
      .selectFrom('dead_letters')
      .select((eb) => eb.fn.countAll<string>().as('count'))
      .execute();
    return Number(row?.count);
  };

  const counter = await startCounter(t, servers);
  await until('dead letters that wait', countWaiting, (count) => count > WAITING_MIN);
  const stoppedAt = performance.now();
  t.equal(await counter.stop(), 0);
  const tookMs = performance.now() - stoppedAt;
  t.ok(tookMs < STOP_MS_MAX, `a stop takes ${Math.round(tookMs)} ms`);
  t.ok((await countWaiting()) > 0, 'the rest waits in the database');
  t.equal((await servers.inspect()).ackPending, 0, 'all that is committed is settled');

  await startCounter(t, servers);
  await until('no dead letter that waits', countWaiting, (count) => count === 0, 60_000);
});
