import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { createSharedLimit } from '../../../gateway/limits/shared-limit.ts';
import { connectToNats } from '../../../nats/connect.ts';
import { RATE_LIMIT_SUBJECT } from '../../../nats/broadcast.ts';
import { makeKeys } from '../../support/counters.ts';
import { post, send } from '../../support/load.ts';
import { readMetrics, sumSamples } from '../../support/metrics.ts';
import { startServers } from '../../support/servers.ts';
import { startGateway } from '../../support/services.ts';
import { until } from '../../support/wait.ts';

const LIMIT = 300;
const WINDOW_MS = 5_000;

void t.test(
  'a client gets its limit from the mesh as a whole, whichever gateways it asks',
  async (t) => {
    const servers = await startServers(t);
    const environment = { RATE_LIMIT_MAX: String(LIMIT), RATE_LIMIT_WINDOW_MS: String(WINDOW_MS) };
    const gateways = await Promise.all([1, 2, 3].map(() => startGateway(t, servers, environment)));
    const [key = ''] = makeKeys(1);
    // Five times the limit, spread over three gateways; windows begin at the same moments everywhere.
    const start = (Math.floor(Date.now() / WINDOW_MS) + 1) * WINDOW_MS;
    const end = start + 3 * WINDOW_MS;
    await delay(start - Date.now());
    const spacingMs = WINDOW_MS / (5 * LIMIT);
    const windowNow = () => Math.floor((Date.now() - start) / WINDOW_MS);
    const requests: Promise<{ sent: number; answered: number; status: number }>[] = [];
    const request = async (url: string) => {
      const sent = windowNow();
      const { status } = await post(url, { key, value: 1 });
      return { sent, answered: windowNow(), status };
    };
    for (let sent = 0; Date.now() < end; sent++) {
      const ahead = start + sent * spacingMs - Date.now();
      if (ahead > 2) await delay(ahead);
      requests.push(request(gateways[sent % 3]?.url ?? ''));
    }
    const passed = (await Promise.all(requests)).filter(({ status }) => status === 200);
    for (const window of [0, 1, 2]) {
      // Of those on the way at a window's end nobody but the gateway knows in which they counted.
      const within = passed.filter(({ sent, answered }) => sent === window && answered === window);
      const touching = passed.filter(
        ({ sent, answered }) => sent === window || answered === window,
      );
      // In the first window gateways have yet to hear of each other, for half a second at most.
      const excessMax = window === 0 ? LIMIT / 4 : LIMIT / 10;
      const seen = `window ${window}: ${within.length} to ${touching.length} of ${LIMIT} passed`;
      t.ok(within.length <= LIMIT + excessMax, seen);
      t.ok(touching.length >= LIMIT - LIMIT / 10, `${seen}, nearly all that may`);
    }
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
  t.match(refused.headers['ratelimit'], /^"default";r=98;t=\d+, "increments";r=0;t=\d+$/);
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

void t.test('a gateway that is cut off keeps limiting by itself', (t) => {
  const limit = createSharedLimit(60_000, {
    publish: () => undefined,
    subscribe: () => () => undefined,
  });
  const remaining = Array.from({ length: 5 }, () => limit.take('a', 3, 1).remaining);
  t.strictSame(remaining, [2, 1, 0, -1, -1]);
  t.equal(limit.take('b', 3, 1).remaining, 2, 'each client by itself');
  limit.close();
  t.end();
});

void t.test('a client below its limit is never refused when it changes gateways', (t) => {
  let hear: (text: string) => void = () => undefined;
  const limit = createSharedLimit(600_000, {
    publish: () => undefined,
    subscribe: (listener) => {
      hear = listener;
      return () => undefined;
    },
  });
  const window = Math.floor(Date.now() / 600_000);
  hear(JSON.stringify({ from: 'other', window, counts: [['a', 60]] }));
  const answers = Array.from({ length: 41 }, () => limit.take('a', 100, 1).remaining >= 0);
  t.equal(answers.filter(Boolean).length, 40);
  limit.close();
  t.end();
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
  t.equal(await postFrom('::ffff:192.0.2.1'), 200, 'IPv4 in IPv6');
});

void t.test(
  'an increment whose client resets the connection is no fault of the gateway',
  async (t) => {
    const gateway = await startGateway(t, await startServers(t), { RATE_LIMIT_MAX: '1000' });
    const body = JSON.stringify({ key: makeKeys(1)[0], value: 1 });
    const headers = `host: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n`;
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

void t.test('what is no report costs a gateway nothing', async (t) => {
  const servers = await startServers(t);
  const gateway = await startGateway(t, servers, { RATE_LIMIT_MAX: '100' });
  const other = await connectToNats({ url: servers.urls.nats.counter, role: 'counter' });
  t.teardown(() => other.close());
  const window = Math.floor(Date.now() / 86_400_000);
  const texts = ['not json', 'null', '{}', `{"from":"a","window":${window}}`];
  for (const text of texts) other.publish(RATE_LIMIT_SUBJECT, text);
  await other.flush();
  const [key = ''] = makeKeys(1);
  t.equal((await post(gateway.url, { key, value: 1 })).status, 200);
});
