import t from 'tap';
import { STALENESS_MS_MAX } from '../../schema/bounds.ts';
import { differences, makeKeys, readCounters, untilTotal } from '../support/counters.ts';
import { drive, total } from '../support/load.ts';
import { countAbove, readMetrics, sumSamples } from '../support/metrics.ts';
import { startServers } from '../support/servers.ts';
import { startCounter, startGateway } from '../support/services.ts';

const INCREMENTS = 5_000;

void t.test('concurrent load over shared keys ends in exact sums within ten seconds', async (t) => {
  const servers = await startServers(t);
  const gateways = [await startGateway(t, servers), await startGateway(t, servers)];
  const counters = [await startCounter(t, servers), await startCounter(t, servers)];

  const result = await drive({
    urls: gateways.map(({ url }) => url),
    keys: makeKeys(500),
    connections: 32,
    requests: INCREMENTS,
    valueMax: 1_000,
  });
  t.strictSame([...result.statuses], [[200, INCREMENTS]], 'every request is answered 200');

  await untilTotal(servers.database, total(result.accepted), STALENESS_MS_MAX);
  t.strictSame(differences(await readCounters(servers.database), result.accepted), []);

  const seen = (await Promise.all(counters.map(({ metrics }) => readMetrics(metrics)))).flat();
  t.equal(sumSamples(seen, 'increments_committed_total'), INCREMENTS);
  const staleness = countAbove(seen, 'increments_staleness_seconds', 10);
  t.ok(staleness.all >= 2, 'both counters flushed');
  t.equal(staleness.above, 0, 'nothing was more than ten seconds stale');

  const packs = (await Promise.all(gateways.map(({ metrics }) => readMetrics(metrics)))).flat();
  const messages = sumSamples(packs, 'gateway_pack_increments_count');
  t.equal(sumSamples(packs, 'gateway_pack_increments_sum'), INCREMENTS);
  t.ok(messages < INCREMENTS / 2, `increments share messages: ${messages} messages`);
});
