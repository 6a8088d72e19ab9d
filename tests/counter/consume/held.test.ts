import { randomUUIDv7 } from 'node:crypto';
import t from 'tap';
import { encodeEnvelope, encodeIncrement } from '../../../schema/message/envelope.ts';
import { makeKeys, readTotal, untilTotal } from '../../support/counters.ts';
import { startServers } from '../../support/servers.ts';
import { startCounter } from '../../support/services.ts';
import { openStreams } from '../../support/stream.ts';

const FLUSH_INTERVAL_MS = 9_000;

void t.test(
  'a counter that holds half of what it may flushes long before its interval',
  async (t) => {
    const servers = await startServers(t);
    const streams = await openStreams(t, servers);
    const store = (keys: string[]) =>
      streams.store(
        encodeEnvelope(
          randomUUIDv7(),
          keys.map((key) => encodeIncrement({ key, value: 1 })),
        ),
      );
    const startedAt = performance.now();

    const few = await startCounter(t, servers, { KEYS_HELD_MAX: '1000' });
    await store(makeKeys(500));
    await untilTotal(servers.database, 500, FLUSH_INTERVAL_MS / 2);
    await store(makeKeys(499));
    t.equal(await few.stop(), 0);
    t.equal(await readTotal(servers.database), '999', 'a key less waits, here for the stop');

    await startCounter(t, servers, { MESSAGES_HELD_MAX: '100' });
    for (let count = 0; count < 50; count++) await store(makeKeys(1));
    await untilTotal(servers.database, 999 + 50, FLUSH_INTERVAL_MS / 2);
    t.comment(`${Math.round(performance.now() - startedAt)} ms`);
  },
);
