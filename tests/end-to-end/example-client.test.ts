import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { increment } from '../../docs/example-client.ts';
import { makeKeys, readCounters, untilTotal } from '../support/counters.ts';
import { startServers } from '../support/servers.ts';
import { startCounter, startGateway } from '../support/services.ts';

const CLIENTS = 8;
const INCREMENTS = 30;

void t.test(
  'a client that retries with its Idempotency-Key is counted once, whoever dies',
  async (t) => {
    const servers = await startServers(t, { flushIntervalMs: 500 });
    // A client that is sent away finds another gateway, however long a new one takes to start.
    const first = await startGateway(t, servers, { REUSE_PORT: '1' });
    const { url } = first;
    const shared = { REUSE_PORT: '1', PORT: new URL(url).port };
    const second = await startGateway(t, servers, shared);
    await startCounter(t, servers, { FLUSH_INTERVAL_MS: '500' });
    const [key = ''] = makeKeys(1);

    const clients = Array.from({ length: CLIENTS }, async () => {
      for (let count = 0; count < INCREMENTS; count++) {
        await increment(url, key, 1);
        await delay(60);
      }
    });
    await delay(500);
    first.kill('SIGKILL');
    await startGateway(t, servers, shared);
    second.kill('SIGKILL');
    servers.nats.kill('SIGKILL');
    await servers.restartNats();
    await Promise.all(clients);
    await untilTotal(servers.database, CLIENTS * INCREMENTS);
    t.equal((await readCounters(servers.database)).get(key), String(CLIENTS * INCREMENTS));
    await t.rejects(increment(url, key, 0), /invalid-request/, 'a wrong request is not repeated');
  },
);
