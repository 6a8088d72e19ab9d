import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { makeKeys, untilCounted } from '../../support/counters.ts';
import { post } from '../../support/load.ts';
import { startServers } from '../../support/servers.ts';
import { startCounter, startGateway } from '../../support/services.ts';

const CLOCK = fileURLToPath(new URL('../../torture/clock.ts', import.meta.url));
const HOUR_MS = 3_600_000;
const INTERVAL_MS = 2_000;

for (const aheadMs of [2 * HOUR_MS, -2 * HOUR_MS]) {
  void t.test(
    `a counter service whose clock is ${aheadMs} ms ahead flushes as others do`,
    async (t) => {
      const servers = await startServers(t, { flushIntervalMs: INTERVAL_MS });
      const gateway = await startGateway(t, servers);
      const counter = await startCounter(t, servers, {
        FLUSH_INTERVAL_MS: String(INTERVAL_MS),
        LOG_LEVEL: 'debug',
        NODE_OPTIONS: `--import=${CLOCK}`,
        CLOCK_AHEAD_MS: String(aheadMs),
      });
      const [key = ''] = makeKeys(1);
      const startedAt = performance.now();
      let sent = 0;
      while (performance.now() - startedAt < 2 * INTERVAL_MS) {
        await post(gateway.url, { key, value: 1 });
        sent++;
        await delay(50);
      }
      await untilCounted(servers.database, key, sent);
      const flushed = counter.log.filter(({ msg }) => msg === 'flushed');
      const passedMs = performance.now() - startedAt;
      // One each interval, which a jitter makes a quarter second shorter; four a second before.
      t.ok(flushed.length <= passedMs / (INTERVAL_MS - 500) + 1, `${flushed.length} flushes`);
      t.ok(flushed.every(({ stalenessMs }) => Number(stalenessMs) < 10_000));
      const said = counter.log.filter(({ msg }) => msg.startsWith("this machine's clock is"));
      t.equal(said.length, 1, 'said, and not again and again');
      t.match(said[0]?.msg, aheadMs > 0 ? / 7200 s ahead of/ : / 7200 s behind/);
    },
  );
}
