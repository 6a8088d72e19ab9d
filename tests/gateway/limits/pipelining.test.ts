import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { makeKeys } from '../../support/counters.ts';
import { freezeTree, sendSignal } from '../../support/freeze.ts';
import { post, send } from '../../support/load.ts';
import { readMetrics, sumSamples } from '../../support/metrics.ts';
import { startServers } from '../../support/servers.ts';
import { startGateway } from '../../support/services.ts';
import { until } from '../../support/until.ts';

const [KEY = ''] = makeKeys(1);
/** What answers late, what is sent bit by bit, and what is long. */
const PATHS = ['/readyz', `/counters/${KEY}`, '/docs/static/swagger-ui-bundle.js', '/openapi.json'];
const CONNECTIONS = 2;
const FLOOD_MS = 200;
/** Of a core: turns of the event loop, each of which serves what has come on each connection. */
const ANSWER_CPU_MS_MAX = 20_000;
const MEMORY_BYTES_MAX = 1024 * 1024 * 1024;

void t.test('who asks on and on without awaiting an answer harms nobody', async (t) => {
  const servers = await startServers(t);
  const gateway = await startGateway(t, servers);
  for (const path of PATHS) {
    const sockets = Array.from({ length: CONNECTIONS }, () => flood(gateway.url, path));
    await delay(FLOOD_MS);
    // On a busy machine the flood may make the gateway late, and it says so: clients repeat then.
    const increment = until(
      'an increment that is taken',
      () => post(gateway.url, { key: KEY, value: 1 }),
      ({ status }) => status !== 503,
    );
    const answer = await Promise.race([increment, untilUsed(gateway.pid, ANSWER_CPU_MS_MAX)]);
    t.equal(answer?.status, 200, `others are answered beside ${path}`);
    for (const socket of sockets) socket.destroy();
    const samples = await readMetrics(gateway.metrics);
    const bytes = sumSamples(samples, 'process_memory_usage_bytes');
    t.ok(bytes > 0 && bytes < MEMORY_BYTES_MAX, `${Math.round(bytes / 2 ** 20)} MiB`);
  }
  t.equal(await gateway.stop(), 0);
});

void t.test('more reads than may wait are told so at once', async (t) => {
  const servers = await startServers(t, { ownPostgres: true });
  const gateway = await startGateway(t, servers);
  // With its sessions, which go on where only the server that makes them is frozen.
  const frozen = await freezeTree(servers.postgres.pid);
  const codes = await pipeline(gateway.url, `/counters/${KEY}`, 1_500);
  t.strictSame(codes, { 'database-away': 1_000, 'too-many-waiting': 500 });
  frozen.forEach((pid) => sendSignal(pid, 'SIGCONT'));
  await until(
    'room again',
    () => send(`${gateway.url}/counters/${KEY}`),
    ({ status }) => status === 404,
  );
});

/** Resolves when a process has used so much more of a core, however busy the machine is. */
async function untilUsed(pid: number, cpuMs: number): Promise<undefined> {
  const usedMs = () => {
    // Linux counts in hundredths of a second; elsewhere the time itself must do.
    if (process.platform !== 'linux') return performance.now() / 4;
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/\(.*\)/, '')
      .split(/ +/);
    const [user, system] = fields.slice(12, 14).map(Number);
    return 10 * ((user ?? 0) + (system ?? 0));
  };
  const end = usedMs() + cpuMs;
  while (usedMs() < end) await delay(50);
  return undefined;
}

/** Asks as fast as the gateway reads. */
function flood(url: string, path: string): Socket {
  const requests = `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`.repeat(200);
  const socket = connect(Number(new URL(url).port), '127.0.0.1', pump);
  function pump(): void {
    while (!socket.destroyed && socket.write(requests));
  }
  socket.on('drain', pump);
  socket.on('error', () => undefined);
  return socket.resume();
}

/** How many of so many requests at once had which code. */
async function pipeline(url: string, path: string, count: number): Promise<Record<string, number>> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  let text = '';
  socket.on('data', (chunk) => (text += String(chunk)));
  socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`.repeat(count));
  const read = () => Array.from(text.matchAll(/"code":"([^"]+)"/g), ([, code = '']) => code);
  const codes = await until('all answers', read, ({ length }) => length === count);
  socket.destroy();
  const counts: Record<string, number> = {};
  for (const code of codes) counts[code] = (counts[code] ?? 0) + 1;
  return counts;
}
