import { randomUUIDv7 } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { makeKeys, readTotal } from '../../support/counters.ts';
import { startServers } from '../../support/servers.ts';
import { startCounter } from '../../support/services.ts';
import { openStreams } from '../../support/stream.ts';

const FLUSH_INTERVAL_MS = 1_700;
/** Before a flush is due, which is a jitter of a quarter second early, and long before the pull ends. */
const STOP_AGE_MS = 1_350;
/** A pull takes a second, and one begins 100 ms after the message came and 1 200 ms after. */
const PULL_END_AGE_MS = 2_200;

void t.test('a flush that is due at a stop does not wait for the pull under way', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: FLUSH_INTERVAL_MS });
  const streams = await openStreams(t, servers);
  const [key = ''] = makeKeys(1);
  const counter = await startCounter(t, servers, {
    FLUSH_INTERVAL_MS: String(FLUSH_INTERVAL_MS),
    LOG_LEVEL: 'debug',
  });
  await streams.store(
    `{"version":1,"id":"${randomUUIDv7()}","increments":[{"key":"${key}","value":4}]}`,
  );
  await delay(STOP_AGE_MS);
  t.equal(await counter.stop(), 0);

  t.equal(await readTotal(servers.database), '4');
  const flushed = counter.log.filter(({ msg }) => msg === 'flushed');
  t.equal(flushed.length, 1);
  t.ok(Number(flushed[0]?.['stalenessMs']) < PULL_END_AGE_MS - 100, JSON.stringify(flushed));
});
