import { randomUUIDv7 } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { auditBooks } from '../../counter/maintenance/audit.ts';
import { makeKeys, untilCounted } from '../support/counters.ts';
import { post, send } from '../support/load.ts';
import { readMetrics, sumSamples } from '../support/metrics.ts';
import { startServers } from '../support/servers.ts';
import { startCounter, startGateway } from '../support/services.ts';
import { openStreams, type StreamAccess } from '../support/stream.ts';
import { until } from '../support/until.ts';
import { commandsOn } from '../mesh/cli/run-command.ts';

/** The promise of ten seconds, with what it takes to see it. */
const COMMITTED_MS_MAX = 10_000;
/** Far more than a throttled warning needs, for two counter services. */
const LOG_LINES_MAX = 100;
const SECONDS = 10;
const COUNT = 100_000;
/** A stop without a single message of a newer version takes half of it. */
const STOP_MS_MAX = 6_000;
/** An idle gateway stores a message every few seconds, and two counter services hold each for a flush interval. */
const YOUNG_MAX = 5;

// Looks at all that messages of a newer version could hold up, and stores increments beside them.
void t.test(
  'a hundred thousand messages of a newer version keep nothing from being counted',
  async (t) => {
    const servers = await startServers(t);
    const streams = await openStreams(t, servers);
    const gateway = await startGateway(t, servers);
    const counters = await Promise.all([startCounter(t, servers), startCounter(t, servers)]);
    const mesh = commandsOn(servers, { gateways: [gateway], counters });

    let isStored = false;
    const storing = storeForSeconds(streams, COUNT).then(() => (isStored = true));
    let worstMs = 0;
    for (let round = 0; round < 3 || !isStored; round++) {
      const [key = ''] = makeKeys(1);
      t.equal((await post(gateway.url, { key, value: 1 })).status, 200);
      const acceptedAt = performance.now();
      await untilCounted(servers.database, key, 1);
      worstMs = Math.max(worstMs, performance.now() - acceptedAt);
    }
    await storing;
    t.ok(worstMs < COMMITTED_MS_MAX, `increments were counted after ${Math.round(worstMs)} ms`);

    const isYoung = ({ messages }: { messages: number }) => messages <= YOUNG_MAX;
    await until('a stream of young messages', servers.inspect, isYoung, 30_000);
    const { answer, code } = await mesh('status --json');
    t.equal(code, 1);
    t.match(answer().findings, [{ name: 'MessagesParked', evidence: /of a version up to 2/ }]);
    t.equal(answer().database.parked.messages, COUNT);
    t.match((await mesh('status')).output, /^parked +\d[\d ]* messages/m);
    const ready = await until(
      'the readiness with what is parked',
      async () => JSON.parse((await send(`${gateway.url}/readyz`)).body) as object,
      (body) => 'parked_messages' in body && body.parked_messages === COUNT,
    );
    t.match(ready, { status: 'ready', database: 'connected' });
    await until(
      'the metric',
      async () => sumSamples(await readMetrics(counters[0].metrics), 'parked_messages'),
      (parked) => parked === COUNT,
    );

    for (const counter of counters) {
      const stoppedAt = performance.now();
      t.equal(await counter.stop(), 0);
      const tookMs = performance.now() - stoppedAt;
      t.ok(tookMs < STOP_MS_MAX, `a stop takes ${Math.round(tookMs)} ms`);
      t.ok(counter.log.length < LOG_LINES_MAX, `${counter.log.length} log lines`);
      t.ok(counter.log.some(({ msg }) => msg.startsWith('messages of a newer version are parked')));
    }
    t.match(await auditBooks(servers.database, streams.readState), { isBalanced: true });
  },
);

/** A tenth of them a second: 10 000/s are what the consumer is sized for. */
async function storeForSeconds(streams: StreamAccess, count: number): Promise<void> {
  for (let second = 0; second < SECONDS; second++) {
    await Promise.all([streams.storeMany(count / SECONDS, newerMessage), delay(1_000)]);
  }
}

/** Every other one has no id. */
function newerMessage(index: number): string {
  return index % 2 === 0 ? '{"version":2}' : `{"version":2,"id":"${randomUUIDv7()}","sums":[]}`;
}
