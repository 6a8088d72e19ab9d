import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import {
  createBuffer,
  createClient,
  type Fetch,
  type IncrementMeshError,
} from '../../client/src/main.ts';
import { makeKeys, readCounters, untilTotal } from '../support/counters.ts';
import { startServers } from '../support/servers.ts';
import { startCounter, startGateway } from '../support/services.ts';
import { auditBooks } from '../torture/audit.ts';

const KEYS = 20;
const SINGLES_AT_ONCE = 8;
const PAUSE_MS = 10;
/** Every so many answers the client gets none, as when a gateway dies after the increment is on disk. */
const ANSWERS_TO_ONE_LOST = 7;

void t.test(
  'a client and its buffer lose and double nothing while gateways and the broker are killed',
  async (t) => {
    const servers = await startServers(t, { flushIntervalMs: 500 });
    // A client that is sent away finds another gateway, however long a new one takes to start.
    const first = await startGateway(t, servers, { REUSE_PORT: '1' });
    const shared = { REUSE_PORT: '1', PORT: new URL(first.url).port };
    const second = await startGateway(t, servers, shared);
    await startCounter(t, servers, { FLUSH_INTERVAL_MS: '500' });

    const { fetch, lost } = losingAnswers();
    const client = createClient({ url: first.url, fetch });
    const errors: IncrementMeshError[] = [];
    const buffer = createBuffer(client, {
      maxAgeMs: 50,
      maxKeys: KEYS * 2,
      onError: (error) => void errors.push(error),
    });
    const keys = makeKeys(KEYS);
    const sums = new Map(keys.map((key) => [key, 0n]));
    const count = (key: string, value: bigint) => sums.set(key, (sums.get(key) ?? 0n) + value);
    let isOver = false;

    const singles = Array.from({ length: SINGLES_AT_ONCE }, async (_, index) => {
      const key = keys[index] ?? '';
      while (!isOver) {
        await client.increment(key, 3);
        count(key, 3n);
        await delay(PAUSE_MS);
      }
    });
    const adding = (async () => {
      for (let value = 1n; !isOver; value += 2n ** 33n) {
        for (const key of keys) {
          await buffer.whenRoom();
          buffer.add(key, value);
          count(key, value);
        }
        await delay(PAUSE_MS);
      }
    })();

    await delay(500);
    first.kill('SIGKILL');
    await startGateway(t, servers, shared);
    second.kill('SIGKILL');
    servers.nats.kill('SIGKILL');
    await servers.restartNats();
    await delay(500);
    isOver = true;
    await Promise.all([...singles, adding]);
    await buffer.close();

    t.ok(lost() > 10, `${lost()} answers were lost`);
    t.strictSame(errors, [], 'one call outlasts a restart');
    t.strictSame(buffer.pending(), []);
    const total = [...sums.values()].reduce((left, right) => left + right);
    await untilTotal(servers.database, total);
    const expected = new Map([...sums].map(([key, sum]) => [key, String(sum)]));
    t.strictSame(await readCounters(servers.database), expected);
    t.strictSame(await auditBooks(servers.database), []);
  },
);

/** A fetch that sends everything, and loses some answers. */
function losingAnswers(): { fetch: Fetch; lost: () => number } {
  let answers = 0;
  let lost = 0;
  return {
    lost: () => lost,
    fetch: async (url, init) => {
      const response = await fetch(url, init);
      if (++answers % ANSWERS_TO_ONE_LOST !== 0) return response;
      lost++;
      await response.body?.cancel();
      throw new TypeError('the answer was lost');
    },
  };
}
