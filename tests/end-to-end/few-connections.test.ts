import t from 'tap';
import { differences, makeKeys, readCounters, untilTotal } from '../support/counters.ts';
import { drive, total } from '../support/load.ts';
import { countAbove, readMetrics } from '../support/metrics.ts';
import { startServers } from '../support/servers.ts';
import { startCounter, startGateway } from '../support/services.ts';

const CONNECTIONS = 8;
const LOAD_MS = 90_000;
const SAMPLE_MS = 5_000;

/**
 * Few connections mean small packs, and so the most messages for each increment: the load under
 * which acknowledgements, each an fsync, would fall behind.
 */
void t.test(
  'few connections for long: no backlog of acks and nothing above ten seconds',
  async (t) => {
    const servers = await startServers(t);
    const gateways = [await startGateway(t, servers), await startGateway(t, servers)];
    const counters = [await startCounter(t, servers), await startCounter(t, servers)];
    const pending: number[] = [];
    const sampling = setInterval(() => {
      void servers.inspect().then(({ messages }) => pending.push(messages));
    }, SAMPLE_MS);

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
    t.ok(staleness.all >= 16, `flushes: ${staleness.all}`);
    t.equal(staleness.above, 0, 'nothing was more than ten seconds stale');
    // In a steady state the stream holds what came in since the last flush, so halves are alike.
    const [early, late] = [pending.slice(3, 9), pending.slice(-6)].map((part) => Math.max(...part));
    t.ok((late ?? 0) < 2 * (early ?? 0), `the stream does not grow: ${pending.join(', ')}`);
  },
);
