import { Agent } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { makeCertificates } from '../../support/certificates.ts';
import { differences, makeKeys, readCounters, untilTotal } from '../../support/counters.ts';
import { freeze } from '../../support/freeze.ts';
import { drive, post, send, total, type Answer } from '../../support/load.ts';
import { readMetrics, sumSamples } from '../../support/metrics.ts';
import { startServers } from '../../support/servers.ts';
import { startCounter, startGateway } from '../../support/services.ts';
import { until } from '../../support/until.ts';

// They wait more than they compute.
t.jobs = 3;

void t.test('a rolling restart of gateways under load fails no request', async (t) => {
  if (process.platform === 'darwin') {
    t.pass('one gateway on a port there');
    return;
  }
  const servers = await startServers(t, { flushIntervalMs: 500 });
  await startCounter(t, servers, { FLUSH_INTERVAL_MS: '500' });
  const first = await startGateway(t, servers, { REUSE_PORT: '1' });
  const shared = { REUSE_PORT: '1', PORT: new URL(first.url).port };
  const gateways = [first, await startGateway(t, servers, shared)];
  const ending = new AbortController();
  const keys = makeKeys(20);
  // Without a pause: a connection that is idle when a gateway closes it may just carry a new request.
  const clients = { connections: 4 };
  const load = drive({ ...clients, urls: [first.url], keys, signal: ending.signal });
  for (const gateway of gateways) {
    await delay(500);
    t.equal(await gateway.stop(), 0);
    await startGateway(t, servers, shared);
  }
  await delay(500);
  ending.abort();
  const result = await load;
  t.strictSame([...result.statuses.keys()], [200], 'every request got its 200');
  await untilTotal(servers.database, total(result.accepted));
  t.strictSame(differences(await readCounters(servers.database), result.accepted), []);
});

void t.test('a stop waits for no client that says nothing, or never ends', async (t) => {
  const servers = await startServers(t);
  const { certFile, keyFile } = makeCertificates(join(servers.folder, 'tls'));
  const [gateway, secure] = await Promise.all([
    startGateway(t, servers),
    startGateway(t, servers, { TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile }),
  ]);
  const say = (url: string, text: string) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(text));
    socket.on('error', () => undefined);
    t.teardown(() => socket.destroy());
  };
  say(gateway.url, '');
  say(gateway.url, 'POST /increment HTTP/1.1\r\nhost: localhost\r\n');
  const body = 'content-type: application/json\r\ncontent-length: 100\r\n\r\n{';
  say(gateway.url, `POST /increment HTTP/1.1\r\nhost: localhost\r\n${body}`);
  say(secure.url, '');
  // The first bytes of a handshake, an idle connection, and answers that are never read.
  say(secure.url, '\x16\x03\x01');
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`;
  say(gateway.url, get('/livez'));
  say(gateway.url, get('/docs/static/swagger-ui-bundle.js').repeat(40));

  await freeze(servers.nats);
  const [key = ''] = makeKeys(1);
  const answer = post(gateway.url, { key, value: 1 });
  await delay(500);
  const startedAt = performance.now();
  const stopped = [gateway, secure].map(({ stop }) => stop());
  await delay(3_000);
  servers.nats.kill('SIGCONT');
  t.equal((await answer).status, 200, 'what waits is still answered');
  t.strictSame(await Promise.all(stopped), [0, 0]);
  t.ok(performance.now() - startedAt < 15_000, 'soon after');
});

void t.test('a gateway that is late, and then stops', async (t) => {
  const servers = await startServers(t);
  const gateway = await startGateway(t, servers);

  await t.test('refuses while it is late again and again, until it keeps up', async (t) => {
    const [key = ''] = makeKeys(1);
    const postToFrozen = async () => {
      await freeze(gateway);
      const answer = post(gateway.url, { key, value: 1 });
      await delay(1_500);
      gateway.kill('SIGCONT');
      return answer;
    };
    // A busy machine may have made it late just before.
    const postAfterRest = async () => {
      await delay(1_100);
      return postToFrozen();
    };
    await until('a pause that is no overload', postAfterRest, ({ status }) => status === 200);
    // On a busy machine it may have kept up for a moment in between.
    const { status, body, headers } = await until(
      'a refusal',
      postToFrozen,
      (answer) => answer.status === 503,
    );
    t.equal(status, 503);
    t.match(JSON.parse(body), { code: 'overloaded' });
    t.match(headers, { 'retry-after': /^\d+$/ });
    await until(
      'a gateway that is well again',
      async () => (await post(gateway.url, { key, value: 1 })).status,
      (again) => again === 200,
    );
  });

  await t.test('waits for the request that waits, and not for its connection', async (t) => {
    const agent = new Agent({ keepAlive: true });
    t.teardown(() => agent.destroy());
    await freeze(servers.nats);
    const [key = ''] = makeKeys(1);
    const body = JSON.stringify({ key, value: 1 });
    // Two are in messages under way and the third waits, which the metrics show.
    const answers: Promise<Answer>[] = [];
    for (let count = 0; count < 3; count++) {
      answers.push(send(`${gateway.url}/increment`, { method: 'POST', body, agent }));
      await delay(50);
    }
    await until(
      'an increment that waits',
      async () => sumSamples(await readMetrics(gateway.metrics), 'gateway_increments_waiting'),
      (waiting) => waiting > 0,
    );
    const stopped = gateway.stop();
    await until(
      'a gateway that stops',
      () => gateway.log.map(({ msg }) => msg),
      (lines) => lines.includes('the gateway is stopping'),
    );
    servers.nats.kill('SIGCONT');
    for (const { status, headers } of await Promise.all(answers)) {
      t.equal(status, 200);
      t.equal(headers['connection'], 'close');
    }
    const answeredAt = performance.now();
    t.equal(await stopped, 0);
    t.ok(performance.now() - answeredAt < 10_000, 'though the client would keep its connections');
  });
});
