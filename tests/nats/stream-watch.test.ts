import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { connectToNats, watchConnection } from '../../nats/connect.ts';
import { watchStream } from '../../nats/stream-watch.ts';
import { startServers } from '../support/servers.ts';
import { until } from '../support/until.ts';

const HOUR_MS = 3_600_000;

void t.test(
  'the time of the broker survives a clock that is set while it is followed',
  async (t) => {
    const servers = await startServers(t);
    const connection = await connectToNats({ url: servers.urls.nats.gateway, role: 'gateway' });
    t.teardown(() => connection.close());
    const stream = watchStream(connection, watchConnection(connection));
    const connected = () =>
      until(
        'the stream',
        () => stream.isConnected,
        (isThere) => isThere,
      );
    await connected();

    const changes: boolean[] = [];
    stream.onChange((isThere) => changes.push(isThere));
    const { now } = Date;
    const isBrokerTime = () => Math.abs(stream.brokerTimeMs() - now()) < 1_000;
    t.ok(isBrokerTime());
    Date.now = () => now() + HOUR_MS;
    t.teardown(() => (Date.now = now));
    t.equal(stream.isConnected, false, 'one of two clocks is wrong, so the broker is asked');
    await connected();
    t.strictSame(changes, [false, true]);
    t.ok(isBrokerTime());
    t.equal(Math.round(stream.clockAheadMs / HOUR_MS), 1);
  },
);

void t.test('the time of the broker can not be forged by who hears earlier traces', async (t) => {
  const servers = await startServers(t);
  const connect = async () => {
    const connection = await connectToNats({ url: servers.urls.nats.gateway, role: 'gateway' });
    t.teardown(() => connection.close());
    return connection;
  };
  const attacker = await connect();
  const forged = JSON.stringify({
    events: [{ stream: 'INCREMENTS', ts: new Date(Date.now() - HOUR_MS).toISOString() }],
  });
  let heard = '';
  attacker.subscribe('mesh.trace.>', {
    callback: (_error, message) => {
      if (message.string() !== forged) heard = message.subject;
    },
  });
  await attacker.flush();
  const connection = await connect();
  const stream = watchStream(connection, watchConnection(connection));
  await until(
    'a trace',
    () => heard,
    (subject) => subject !== '',
  );
  let worstMs = 0;
  const forging = setInterval(() => {
    const [, start = '', last = ''] = /^(.*\.)([^.]*)$/.exec(heard) ?? [];
    for (let ahead = 0; ahead < 3; ahead++)
      attacker.publish(`${start}${Number(last) + ahead}`, forged);
    attacker.publish(heard, forged);
    worstMs = Math.max(worstMs, Math.abs(stream.brokerTimeMs() - Date.now()));
  }, 1);
  t.teardown(() => clearInterval(forging));
  // Three more probes.
  await delay(7_000);
  t.ok(worstMs < 1_000, `${Math.round(worstMs)} ms wrong at worst`);
});
