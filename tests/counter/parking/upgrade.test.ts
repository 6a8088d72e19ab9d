import { randomUUIDv7 } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { auditBooks } from '../../../counter/maintenance/audit.ts';
import { readParkedState } from '../../../schema/database/parked-state.ts';
import { makeKeys, untilCounted, readCounter } from '../../support/counters.ts';
import { post } from '../../support/load.ts';
import { copyNextVersion } from '../../support/next-version.ts';
import { startServers } from '../../support/servers.ts';
import { startCounter, startGateway } from '../../support/services.ts';
import { openStreams } from '../../support/stream.ts';
import { until } from '../../support/until.ts';

const FAST = { FLUSH_INTERVAL_MS: '300' };
/** Each key of the second half is a repeat of one of the first. */
const INCREMENTS_SENT = 60;
const KEYS = 30;
/** Some rounds of those that count them. */
const PARKED = 12_000;

// They wait more than they compute.
t.jobs = 2;

const next = copyNextVersion(t);

void t.test(
  'an upgrade in the wrong order, gateways first, counts every increment exactly once',
  async (t) => {
    const servers = await startServers(t, { flushIntervalMs: 300 });
    const streams = await openStreams(t, servers);
    const [older, newer] = await Promise.all([
      startGateway(t, servers),
      startGateway(t, servers, {}, next),
      startCounter(t, servers, FAST),
      startCounter(t, servers, FAST),
    ]);
    const [known = '', parked = ''] = makeKeys(2);
    const send = async (index: number) => {
      await post(older.url, { key: known, value: 1 });
      const once = { 'idempotency-key': `key-${index % KEYS}` };
      const { body } = await post(newer.url, { key: parked, value: 1 }, once);
      return (JSON.parse(body) as { id: string }).id;
    };
    const ids = await Promise.all(
      Array.from({ length: INCREMENTS_SENT }, (_, index) => send(index)),
    );

    await untilCounted(servers.database, known, INCREMENTS_SENT);
    await until('an empty stream', servers.inspect, ({ messages }) => messages === 0);
    const state = await readParkedState(servers.database);
    t.match(state, { version: 2, isFull: false });
    t.ok(state.messages > 0 && state.messages <= INCREMENTS_SENT, String(state.messages));
    t.equal(await readCounter(servers.database, parked), '0');
    t.match(await readCommitted(older.url, ids[0]), { committed: false, sequence: null });

    const first = await startCounter(t, servers, FAST, next);
    await startCounter(t, servers, FAST, next);
    await untilCounted(servers.database, parked, KEYS);
    // What an idle gateway stores may be parked after them.
    await until(
      'that nothing is parked',
      () => readParkedState(servers.database),
      ({ messages }) => messages === 0,
    );
    t.match(await readCommitted(older.url, ids[0]), { committed: true });
    await post(newer.url, { key: parked, value: 1 }, { 'idempotency-key': 'key-7' });
    await post(newer.url, { key: parked, value: 1 });
    await untilCounted(servers.database, parked, KEYS + 1);
    await delay(1_000);
    t.equal(await readCounter(servers.database, parked), String(KEYS + 1));
    t.strictSame(await streams.readDeadLetters(), []);
    t.match(await auditBooks(servers.database, streams.readState), { isBalanced: true });
    t.equal(await first.stop(), 0);
  },
);

void t.test(
  'a counter service that is killed while it counts what was parked harms nothing',
  async (t) => {
    const servers = await startServers(t, { flushIntervalMs: 300 });
    const streams = await openStreams(t, servers);
    const [key = ''] = makeKeys(1);
    const older = await startCounter(t, servers, FAST);
    await streams.storeMany(
      PARKED,
      () => `{"version":2,"id":"${randomUUIDv7()}","increments":[{"key":"${key}","value":1}]}`,
    );
    await until('an empty stream', servers.inspect, ({ messages }) => messages === 0);
    t.equal((await readParkedState(servers.database)).messages, PARKED);
    await older.stop();

    for (let kills = 0; kills < 2; kills++) {
      const before = await readCounter(servers.database, key);
      const counter = await startCounter(t, servers, FAST, next);
      await until(
        'some counted',
        () => readCounter(servers.database, key),
        (now) => now !== before,
      );
      counter.kill('SIGKILL');
      await counter.exited;
    }
    t.ok((await readParkedState(servers.database)).messages > 0, 'some are still parked');
    t.match(await auditBooks(servers.database, streams.readState), { isBalanced: true });
    await Promise.all([startCounter(t, servers, FAST, next), startCounter(t, servers, FAST, next)]);
    await untilCounted(servers.database, key, PARKED);
    await delay(1_000);
    t.equal(await readCounter(servers.database, key), String(PARKED));
    t.match(await auditBooks(servers.database, streams.readState), { isBalanced: true });
  },
);

async function readCommitted(url: string, id = ''): Promise<object> {
  const answer = await fetch(`${url}/increments/${id}`);
  return (await answer.json()) as object;
}
