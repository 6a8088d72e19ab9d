import { connect } from 'node:net';
import t from 'tap';
import { makeKeys, untilTotal } from '../../support/counters.ts';
import { freeze } from '../../support/freeze.ts';
import { readMetrics, sumSamples } from '../../support/metrics.ts';
import { startServers } from '../../support/servers.ts';
import { startCounter, startGateway } from '../../support/services.ts';
import { until } from '../../support/until.ts';

const HOST = 'host: localhost\r\n';
const ID = 'x-request-id: mine\r\n';
const BODY = 'content-type: application/json\r\ncontent-length: 1000\r\n\r\n{';

const UPLOAD_BYTES = 20_000_000;
const UPLOADS = 12;

/** What is sent, what is then sent again and again, and what it is answered with. */
const REFUSED: [sent: string, again: string, status: number, code: string][] = [
  ['hello\r\n\r\n', '', 400, 'bad-request'],
  [`GET /%zz HTTP/1.1\r\n${HOST}${ID}connection: close\r\n\r\n`, '', 400, 'bad-request'],
  [`GET / HTTP/1.1\r\n${ID}connection: close\r\n\r\n`, '', 400, 'bad-request'],
  [
    `GET / HTTP/1.1\r\n${HOST}host: example.com\r\nconnection: close\r\n\r\n`,
    '',
    400,
    'bad-request',
  ],
  [`GET / HTTP/1.1\r\n${ID}x: ${'x'.repeat(20_000)}\r\n\r\n`, '', 431, 'headers-too-large'],
  [`POST /increment HTTP/1.1\r\n${HOST}`, 'x', 408, 'request-timeout'],
  [`POST /increment HTTP/1.1\r\n${HOST}${ID}${BODY}`, 'x', 408, 'request-timeout'],
];

void t.test('what is refused before there is a route', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: 300 });
  const gateway = await startGateway(t, servers);

  await t.test('is a problem with an id, in time, even to a client that dribbles', async (t) => {
    const startedAt = performance.now();
    const answers = await Promise.all(
      REFUSED.map(async ([sent, again, ...expected]) => ({
        answer: await talk(gateway.url, sent, again),
        sent,
        expected,
      })),
    );
    for (const {
      answer,
      sent,
      expected: [status, code],
    } of answers) {
      t.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `));
      t.match(answer, /^content-type: application\/problem\+json\r$/m);
      t.match(answer, sent.includes(ID) ? ID : /^x-request-id: [\w-]+\r$/m);
      t.match(answer, `"code":"${code}"`);
    }
    t.ok(performance.now() - startedAt < 20_000, 'within the time-outs');
  });

  await t.test('is in the metrics like every other answer', async (t) => {
    const samples = await readMetrics(gateway.metrics);
    const statuses = [400, 400, 400, 400, 408, 408, 431];
    const count = (name: string, label: string) =>
      sumSamples(
        samples.filter(({ labels }) => labels.includes(label)),
        name,
      );
    const requests = 'http_server_request_duration_seconds_count';
    t.equal(sumSamples(samples, requests), statuses.length, 'each once');
    for (const status of new Set(statuses)) {
      t.equal(
        count(requests, `http_response_status_code="${status}"`),
        statuses.filter((one) => one === status).length,
        `with ${status}`,
      );
    }
    for (const [code, times] of [
      ['bad-request', 4],
      ['request-timeout', 2],
      ['headers-too-large', 1],
    ]) {
      t.equal(count('requests_refused_total', `reason="${code}"`), times, `for ${code}`);
    }
  });

  await t.test('is read away, however large, so that any client gets its answer', async (t) => {
    const body = 'x'.repeat(UPLOAD_BYTES);
    for (let upload = 0; upload < UPLOADS; upload++) {
      const path = upload % 2 === 0 ? '/increments' : '/increment';
      // In pieces it has no length, so that the gateway learns it as it comes.
      const sent = upload < UPLOADS / 2 ? body : new Blob([body]).stream();
      const answer = await fetch(`${gateway.url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: sent,
        ...(sent !== body && { duplex: 'half' }),
      });
      t.equal(answer.status, 413, `upload ${upload}`);
      t.match(await answer.json(), { code: 'body-too-large' });
    }
  });

  await t.test('is never taken for the answer to the request before it', async (t) => {
    await startCounter(t, servers, { FLUSH_INTERVAL_MS: '300' });
    const body = JSON.stringify({ key: makeKeys(1)[0], value: 7 });
    const headers = `${HOST}content-type: application/json\r\ncontent-length: ${body.length}\r\n`;
    await freeze(servers.nats);
    const sent = `POST /increment HTTP/1.1\r\n${headers}\r\n${body}`;
    const answer = await talk(gateway.url, sent, 'garbage\r\n\r\n');
    servers.nats.kill('SIGCONT');
    t.equal(answer, '', 'the connection breaks, which says that the outcome is unknown');
    await untilTotal(servers.database, 7);
  });
});

void t.test('an expectation is met only where the body is wanted', async (t) => {
  const gateway = await startGateway(t, await startServers(t));
  for (const [path, length] of [
    ['/increments', 3_000_000],
    ['/increment', 5_000],
  ] as const) {
    const head = `POST ${path} HTTP/1.1\r\n${HOST}content-type: application/json\r\n`;
    const refused = await talk(
      gateway.url,
      `${head}expect: 100-continue\r\ncontent-length: ${length}\r\n\r\n`,
    );
    t.match(refused, /^HTTP\/1\.1 413 /, 'without a 100 before');
  }
  const body = JSON.stringify({ key: makeKeys(1)[0], value: 1 });
  const taken = await talk(
    gateway.url,
    `POST /increment HTTP/1.1\r\n${HOST}content-type: application/json\r\nexpect: 100-continue\r\n` +
      `connection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  t.match(taken, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /);
  const answer = await talk(
    gateway.url,
    `GET /livez HTTP/1.1\r\n${HOST}expect: miracles\r\nconnection: close\r\n\r\n`,
  );
  t.match(answer, /^HTTP\/1\.1 200 /);
});

/** Writes to a connection, and returns what came on it until the server closed it. */
async function talk(url: string, sent: string, again = ''): Promise<string> {
  let answer = '';
  let isClosed = false;
  const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(sent));
  const timer = setInterval(() => socket.write(again), 500);
  socket.on('data', (chunk) => (answer += String(chunk)));
  socket.on('error', () => undefined);
  socket.on('close', () => (isClosed = true));
  try {
    await until('the server closes', () => isClosed, Boolean, 20_000);
    return answer;
  } finally {
    clearInterval(timer);
    socket.destroy();
  }
}
