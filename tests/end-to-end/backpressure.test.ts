import t from 'tap';
import { differences, makeKeys, readCounters, untilTotal } from '../support/counters.ts';
import { drive, post, send, total } from '../support/load.ts';
import { startServers } from '../support/servers.ts';
import { startCounter, startGateway } from '../support/services.ts';
import { until } from '../support/until.ts';

void t.test('a full stream is a 503, nothing is lost, and counters cure it', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: 300, streamBytesMax: 65_536 });
  const gateway = await startGateway(t, servers);
  const keys = makeKeys(20);
  const result = await drive({ urls: [gateway.url], keys, connections: 4, requests: 600 });
  t.ok((result.statuses.get(200) ?? 0) > 0, 'some were stored');
  t.ok((result.statuses.get(503) ?? 0) > 0, 'then the stream was full');
  t.equal(result.statuses.size, 2);
  const refused = await post(gateway.url, { key: keys[0], value: 1 });
  t.equal(refused.status, 503);
  t.ok(refused.headers['retry-after']);
  t.match(JSON.parse(refused.body), { code: 'stream-full' });
  const readiness = () => send(`${gateway.url}/readyz`);
  const unready = await readiness();
  t.equal(unready.status, 503);
  t.match(JSON.parse(unready.body), { status: 'not ready', stream: 'full' });

  await startCounter(t, servers, { FLUSH_INTERVAL_MS: '300' });
  await untilTotal(servers.database, total(result.accepted));
  t.strictSame(differences(await readCounters(servers.database), result.accepted), []);
  // A load balancer sends nothing to a gateway that is not ready, so it recovers without a request.
  await until('ready again', readiness, ({ status }) => status === 200);
  const again = () => post(gateway.url, { key: keys[0], value: 1 });
  await until('room in the stream', again, ({ status }) => status === 200);
});
