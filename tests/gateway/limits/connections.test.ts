import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import t, { type Test } from 'tap';
import { makeCertificates } from '../../support/certificates.ts';
import { makeKeys } from '../../support/counters.ts';
import { post } from '../../support/load.ts';
import { readMetrics, sumSamples } from '../../support/metrics.ts';
import { startServers } from '../../support/servers.ts';
import { startGateway } from '../../support/services.ts';
import { until } from '../../support/until.ts';

const CONNECTIONS = 3_000;
/** At once, which the listening socket has room for. */
const BURST = 250;
/** The default. */
const PER_ADDRESS_MAX = 1_000;
/** The longest time-out is that of a body, 10 s; it is noticed a second later, and answered for another. */
const END_MS_MAX = 30_000;

const GET = 'GET /livez HTTP/1.1\r\nhost: localhost\r\n';
const POST = 'POST /increment HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n';
/** The first bytes of a TLS handshake of 200 bytes. */
const HALF_HELLO = Buffer.from('16030100c8010000c40303', 'hex');

void t.test('thousands of idle connections from one address lock nobody else out', async (t) => {
  if (process.platform === 'darwin') {
    t.pass('one loopback address there');
    return;
  }
  const gateway = await startGateway(t, await startServers(t));
  const open = new Set<Socket>();
  for (let made = 0; made < CONNECTIONS; made += BURST) {
    await Promise.all(
      Array.from({ length: BURST }, () => openFrom(t, gateway.url, '127.0.0.1', open)),
    );
  }
  await until(
    'the others closed',
    () => open.size,
    (size) => size <= PER_ADDRESS_MAX,
  );
  t.equal(open.size, PER_ADDRESS_MAX);

  const served = await ask(t, gateway.url, '127.0.0.2');
  t.match(served, /^HTTP\/1\.1 200 /, 'another address is served');
  t.equal(await ask(t, gateway.url, '127.0.0.1'), '', 'that one is not');
  const samples = await readMetrics(gateway.metrics);
  const refused = samples.filter(({ name }) => name === 'gateway_connections_refused_total');
  const count = (reason: string) =>
    refused.find(({ labels }) => labels.includes(`reason="${reason}"`));
  t.equal(count('address')?.value, CONNECTIONS - PER_ADDRESS_MAX + 1);
  t.equal(count('total')?.value, 0);
  const lines = gateway.log.filter(({ level }) => level === 40).map(({ msg }) => msg);
  t.equal(lines.length, 1, 'said once');
  t.match(lines[0], /127\.0\.0\.1 has 1000, as many as CONNECTIONS_PER_ADDRESS_MAX allows/);

  for (const socket of open) socket.destroy();
  const [key = ''] = makeKeys(1);
  const again = () =>
    post(gateway.url, { key, value: 1 }).then(
      ({ status }) => status,
      () => 0,
    );
  t.equal(await until('room again', again, (status) => status === 200), 200);
});

void t.test('a proxy may have as many connections as its clients need', async (t) => {
  const servers = await startServers(t);
  const limits = { CONNECTIONS_PER_ADDRESS_MAX: '2' };
  const [proxied, direct] = await Promise.all([
    startGateway(t, servers, { ...limits, TRUST_PROXY: '127.0.0.1' }),
    startGateway(t, servers, limits),
  ]);
  for (const [url, count] of [
    [proxied.url, 5],
    [direct.url, 2],
  ] as const) {
    const open = new Set<Socket>();
    for (let made = 0; made < 5; made++) await openFrom(t, url, '127.0.0.1', open);
    await until(
      'those above the limit closed',
      () => open.size,
      (size) => size === count,
    );
  }
});

void t.test('every connection ends, in every state', { timeout: 90_000 }, async (t) => {
  const servers = await startServers(t);
  const { certFile, keyFile } = makeCertificates(join(servers.folder, 'tls'));
  const [gateway, secure] = await Promise.all([
    startGateway(t, servers),
    startGateway(t, servers, { TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile }),
  ]);
  const states: [state: string, sent: string | Buffer, again: string][] = [
    ['silent', '', ''],
    ['half a line', 'GET / HT', ''],
    ['half the headers', GET, ''],
    ['headers bit by bit', GET, 'x'],
    ['half a body', `${POST}content-length: 100\r\n\r\n{`, ''],
    ['a body bit by bit', `${POST}content-length: 100\r\n\r\n{`, ' '],
    ['chunks bit by bit', `${POST}transfer-encoding: chunked\r\n\r\n`, '1\r\n \r\n'],
    ['a body that is refused', `${POST}content-length: 100000\r\n\r\n{`, 'x'],
    [
      'a body of a route that is not there',
      'POST /x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n',
      '',
    ],
    ['what is not HTTP', 'hello\r\n\r\n', 'x'],
    ['headers without end', `${GET}x: ${'y'.repeat(20_000)}`, 'y'],
    ['an answer that ends the connection', `${GET}connection: close\r\n\r\n`, ''],
    ['another protocol', `${GET}connection: upgrade\r\nupgrade: h2c\r\n`, ''],
  ];
  const opened: Promise<void>[] = [];
  for (const [, sent, again] of states) {
    opened.push(say(t, gateway.url, sent, again), say(t, secure.url, sent, again));
    opened.push(sayEncrypted(t, secure.url, sent, again));
  }
  // Handshakes that end in the middle, or never.
  opened.push(say(t, secure.url, HALF_HELLO, ''), say(t, secure.url, HALF_HELLO, '\0'));
  const broken = connect(Number(new URL(secure.url).port), '127.0.0.1');
  broken.write(HALF_HELLO, () => broken.destroy());
  // A client that has closed its half.
  opened.push(say(t, gateway.url, `${GET}\r\n`, '', true), say(t, gateway.url, '', '', true));
  await Promise.all(opened);
  for (const [name, { metrics }] of Object.entries({ gateway, secure })) {
    const count = async () => sumSamples(await readMetrics(metrics), 'gateway_connections');
    await until(`no connection of ${name}`, count, (left) => left === 0, END_MS_MAX);
  }
  t.pass('all of them, though no client closes its half');
});

/** A connection that is idle after a request; it is in `open` as long as the gateway keeps it. */
async function openFrom(t: Test, url: string, localAddress: string, open: Set<Socket>) {
  const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', localAddress });
  t.teardown(() => socket.destroy());
  open.add(socket);
  socket.on('error', () => undefined);
  socket.on('close', () => open.delete(socket));
  socket.resume();
  socket.write(`${GET}\r\n`);
  await new Promise<void>((resolve) => {
    socket.once('connect', resolve);
    socket.once('close', () => resolve());
  });
}

/** The answer to a request; nothing if the gateway closes the connection. */
async function ask(t: Test, url: string, localAddress: string): Promise<string> {
  const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', localAddress });
  t.teardown(() => socket.destroy());
  let answer = '';
  socket.on('data', (chunk) => (answer += String(chunk)));
  socket.on('error', () => undefined);
  socket.write(`${GET}connection: close\r\n\r\n`);
  await new Promise((resolve) => socket.once('close', resolve));
  return answer;
}

/** Sends something, perhaps more of it now and then, and never closes its half, unless it does so at once. */
async function say(t: Test, url: string, sent: string | Buffer, again: string, isEnding = false) {
  const port = Number(new URL(url).port);
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  await once(socket, 'connect');
  keepTalking(t, socket, sent, again);
  if (isEnding) socket.end();
}

async function sayEncrypted(t: Test, url: string, sent: string | Buffer, again: string) {
  const port = Number(new URL(url).port);
  const raw = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const socket = connectTls({ socket: raw, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  keepTalking(t, socket, sent, again);
}

function keepTalking(t: Test, socket: Socket, sent: string | Buffer, again: string): void {
  const timer = again === '' ? undefined : setInterval(() => socket.write(again), 300);
  t.teardown(() => {
    clearInterval(timer);
    socket.destroy();
  });
  socket.on('error', () => clearInterval(timer));
  socket.resume();
  if (sent.length > 0) socket.write(sent);
}
