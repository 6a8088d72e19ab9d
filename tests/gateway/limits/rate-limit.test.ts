import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { makeKeys } from '../../support/counters.ts';
import { post, send } from '../../support/load.ts';
import { readMetrics, sumSamples } from '../../support/metrics.ts';
import { startServers } from '../../support/servers.ts';
import { startGateway } from '../../support/services.ts';
import { until } from '../../support/until.ts';

const LIMIT = 150;
const WINDOW_MS = 5_000;

void t.test(
  'a client gets its limit from the mesh as a whole, whichever gateways it asks',
  async (t) => {
    const servers = await startServers(t);
    const environment = { RATE_LIMIT_MAX: String(LIMIT), RATE_LIMIT_WINDOW_MS: String(WINDOW_MS) };
    const gateways = await Promise.all([1, 2, 3].map(() => startGateway(t, servers, environment)));
    const [key = ''] = makeKeys(1);
    // Five times the limit, spread over three gateways, for two windows and a half.
    const startedAt = performance.now();
    const passed: { sentAt: number; answeredAt: number }[] = [];
    const requests: Promise<void>[] = [];
    const request = async (url: string) => {
      const sentAt = performance.now();
      const { status } = await post(url, { key, value: 1 });
      if (status === 200) passed.push({ sentAt, answeredAt: performance.now() });
    };
    const spacingMs = WINDOW_MS / (5 * LIMIT);
    for (let sent = 0; sent * spacingMs < 2.5 * WINDOW_MS; sent++) {
      const ahead = startedAt + sent * spacingMs - performance.now();
      if (ahead > 2) await delay(ahead);
      requests.push(request(gateways[sent % 3]?.url ?? ''));
    }
    await Promise.all(requests);
    // When a request was let through is known only to be between its sending and its answer.
    const within = passed.map(
      ({ sentAt: from }) =>
        passed.filter(({ sentAt, answeredAt }) => sentAt >= from && answeredAt < from + WINDOW_MS)
          .length,
    );
    const most = Math.max(...within);
    t.ok(most <= LIMIT, `${most} of ${LIMIT} passed in the busiest window`);
    t.ok(passed.length >= 2 * LIMIT, `${passed.length} passed in all, nearly all that may`);
  },
);

void t.test('batches cost by their increments, under a budget of their own', async (t) => {
  const servers = await startServers(t);
  const gateway = await startGateway(t, servers, {
    RATE_LIMIT_MAX: '100',
    RATE_LIMIT_BATCH_MAX: '10',
  });
  const [key = ''] = makeKeys(1);
  const postBatch = (count: number) =>
    send(`${gateway.url}/increments`, {
      method: 'POST',
      body: JSON.stringify(Array.from({ length: count }, () => ({ key, value: 1 }))),
    });
  t.equal((await postBatch(6)).status, 200);
  const refused = await postBatch(6);
  t.equal(refused.status, 429);
  t.match(refused.headers['ratelimit'], /^"default";r=98;t=\d+, "increments";r=4;t=\d+$/);
  t.equal(
    refused.headers['ratelimit-policy'],
    '"default";q=100;w=86400, "increments";q=10;w=86400',
  );
  const never = await postBatch(11);
  t.equal(never.status, 413, 'what no window has room for is not told to come again');
  t.match(never.body, 'The batch has 11 increments, more than the 10 that a client may send');
  t.equal((await postBatch(4)).status, 200);
  t.equal((await post(gateway.url, { key, value: 1 })).status, 200);
  t.equal((await servers.inspect()).messages, 3, 'what is refused is never stored');
});

void t.test('who has one address of an IPv6 network has no more than one limit', async (t) => {
  const servers = await startServers(t);
  const gateway = await startGateway(t, servers, {
    RATE_LIMIT_MAX: '2',
    TRUST_PROXY: '127.0.0.1',
  });
  const [key = ''] = makeKeys(1);
  const postFrom = async (address: string) => {
    const answer = await send(`${gateway.url}/increment`, {
      method: 'POST',
      headers: { 'x-forwarded-for': address },
      body: JSON.stringify({ key, value: 1 }),
    });
    return answer.status;
  };
  t.equal(await postFrom('2001:db8::1'), 200);
  t.equal(await postFrom('2001:db8:0:0:ffff::2'), 200);
  t.equal(await postFrom('2001:db8:0:0:1:2:3:4'), 429, 'the same network');
  t.equal(await postFrom('2001:db8:0:1::1'), 200, 'another network');
  t.equal(await postFrom('203.0.113.7:4000'), 200, 'an address with a port');
  t.equal(await postFrom('203.0.113.7:4001'), 200);
  t.equal(await postFrom('::ffff:203.0.113.7'), 429, 'the same address, written otherwise');
});

void t.test(
  'an increment whose client resets the connection is no fault of the gateway',
  async (t) => {
    const gateway = await startGateway(t, await startServers(t), { RATE_LIMIT_MAX: '1000' });
    const body = JSON.stringify({ key: makeKeys(1)[0], value: 1 });
    const headers = `host: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n`;
    for (let count = 0; count < 20; count++) {
      const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1');
      socket.on('error', () => undefined);
      socket.write(`POST /increment HTTP/1.1\r\n${headers}\r\n${body}`, () =>
        socket.resetAndDestroy(),
      );
    }
    const requests = 'http_server_request_duration_seconds_count';
    const samples = await until(
      'all answers',
      () => readMetrics(gateway.metrics),
      (seen) => sumSamples(seen, requests) === 20,
    );
    t.equal(sumSamples(samples, 'requests_refused_total'), 0);
    t.strictSame(
      gateway.log.filter(({ level }) => level > 40),
      [],
    );
  },
);
