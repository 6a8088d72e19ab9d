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

void t.test(
  'an upgrade in the wrong order, gateways first, counts every increment exactly once',
  async (t) => {
    const servers = await startServers(t, { flushIntervalMs: 300 });
    const streams = await openStreams(t, servers);
    const next = copyNextVersion(t);
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
    t.equal((await readParkedState(servers.database)).messages, 0);
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

async function readCommitted(url: string, id = ''): Promise<object> {
  const answer = await fetch(`${url}/increments/${id}`);
  return (await answer.json()) as object;
}
