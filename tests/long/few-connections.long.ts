import t from 'tap';
import { differences, makeKeys, readCounters, untilTotal } from '../support/counters.ts';
import { drive, total } from '../support/load.ts';
import { countAbove, readMetrics } from '../support/metrics.ts';
import { startServers } from '../support/servers.ts';
import { startCounter, startGateway } from '../support/services.ts';

const CONNECTIONS = 8;

const LOAD_MS = 90_000;
const FLUSH_INTERVAL_MS = 9_000;

// Few connections mean small packs, and so the most messages for each increment: the load under which
// acknowledgements, each an fsync, would fall behind.
void t.test('few connections: no backlog of acks and nothing above ten seconds', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: FLUSH_INTERVAL_MS, isOnDisk: true });
  const interval = { FLUSH_INTERVAL_MS: String(FLUSH_INTERVAL_MS) };
  const gateways = [await startGateway(t, servers), await startGateway(t, servers)];
  const counters = [
    await startCounter(t, servers, interval),
    await startCounter(t, servers, interval),
  ];
  const messages: number[] = [];
  const sampling = setInterval(() => {
    void servers.inspect().then((state) => messages.push(state.messages));
  }, FLUSH_INTERVAL_MS / 2);

  const result = await drive({
    urls: gateways.map(({ url }) => url),
    keys: makeKeys(100),
    connections: CONNECTIONS,
    signal: AbortSignal.timeout(LOAD_MS),
  });
  clearInterval(sampling);
  t.strictSame([...result.statuses.keys()], [200]);
  await untilTotal(servers.database, total(result.accepted), 10_000);
  t.strictSame(differences(await readCounters(servers.database), result.accepted), []);

  const metrics = (await Promise.all(counters.map(({ metrics }) => readMetrics(metrics)))).flat();
  const staleness = countAbove(metrics, 'increments_staleness_seconds', 10);
  const flushes = (counters.length * LOAD_MS) / FLUSH_INTERVAL_MS;
  t.ok(staleness.all >= flushes * 0.8, `flushes: ${staleness.all}`);
  t.equal(staleness.above, 0, 'nothing was more than ten seconds stale');
  // Were acknowledgements to fall behind, most of what was ever stored would still be there.
  const { lastSequence: stored } = await servers.inspect();
  const most = Math.max(...messages);
  t.ok(most < stored / 2, `at most ${most} of ${stored} messages at once: ${messages.join(', ')}`);
});
