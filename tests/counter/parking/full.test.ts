import { randomUUIDv7 } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { auditBooks } from '../../../counter/maintenance/audit.ts';
import { readParkedState } from '../../../schema/database/parked-state.ts';
import { copyEdited } from '../../mutations/copy-edited.ts';
import { makeKeys, readCounter, untilCounted } from '../../support/counters.ts';
import { copyNextVersion } from '../../support/next-version.ts';
import { startServers } from '../../support/servers.ts';
import { startCounter } from '../../support/services.ts';
import { openStreams } from '../../support/stream.ts';
import { until } from '../../support/until.ts';

const FAST = { FLUSH_INTERVAL_MS: '300' };
/** Several of them fill the room, and each is more than one flush leaves of it. */
const PART = 500;

void t.test(
  'when no more can be parked, the rest waits in the stream, others are counted, and nothing is lost',
  async (t) => {
    const servers = await startServers(t, { flushIntervalMs: 300 });
    const streams = await openStreams(t, servers);
    const { root, remove } = copyEdited([
      {
        file: 'schema/database/parked-state.ts',
        find: '4096 * 1024 * 1024',
        replacement: '256 * 1024',
      },
      {
        file: 'counter/consume/pull-loop.ts',
        find: 'NOT_PARKED_DELAY_MS = 60_000',
        replacement: 'NOT_PARKED_DELAY_MS = 5_000',
      },
    ]);
    t.teardown(remove);
    const [key = '', other = ''] = makeKeys(2);
    const counter = await startCounter(t, servers, FAST, root);
    const newer = (version = 2, counted = key) =>
      `{"version":${version},"id":"${randomUUIDv7()}","increments":[{"key":"${counted}","value":1}]}`;
    const warning = /^no room to park messages of a newer version, which stay in the stream/;
    const isWarned = () => counter.log.some(({ msg }) => warning.test(msg));
    let stored = 0;
    // What comes in one flush is parked as a whole, so they come one after the other.
    while (!isWarned() && stored < 50 * PART) {
      await streams.storeMany(PART, () => newer());
      stored += PART;
      await delay(500);
    }
    t.ok(isWarned(), `the warning, after ${stored}`);
    await streams.store(newer(1, other));
    await untilCounted(servers.database, other, 1);
    t.equal(counter.log.filter(({ msg }) => warning.test(msg)).length, 1, 'it is said once');

    const both = async () => ({
      parked: (await readParkedState(servers.database)).messages,
      ...(await servers.inspect()),
    });
    const { parked, messages } = await until(
      'what was counted to be settled',
      both,
      (seen) => seen.parked + seen.messages === stored,
    );
    t.ok(parked > 0, `${parked} are parked`);
    t.ok(messages > 0, `${messages} wait in the stream`);
    t.equal(await readCounter(servers.database, key), '0');
    t.equal(await counter.stop(), 0);

    await startCounter(t, servers, FAST, copyNextVersion(t));
    await until(
      'all of them counted',
      () => readCounter(servers.database, key),
      (count) => count === String(stored),
      60_000,
    );
    await until('an empty stream', servers.inspect, ({ messages: left }) => left === 0);
    t.match(await auditBooks(servers.database, streams.readState), { isBalanced: true });
    t.strictSame(await streams.readDeadLetters(), []);
  },
);
