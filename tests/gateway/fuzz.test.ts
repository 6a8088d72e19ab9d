import { Agent } from 'node:http';
import { connect } from 'node:net';
import fc from 'fast-check';
import t from 'tap';
import { differences, makeKeys, readCounters, untilTotal } from '../support/counters.ts';
import { send, total } from '../support/load.ts';
import { startServers } from '../support/servers.ts';
import { startCounter, startGateway } from '../support/services.ts';

/** A few thousand by default; `FUZZ_RUNS=100000` for the long run. */
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 2_000);
const TIMEOUT_MS = Math.max(120_000, RUNS * 20);

void t.test(
  'no input gives a 5xx or a hang, and what got a 200 is counted',
  { timeout: TIMEOUT_MS },
  async (t) => {
    const servers = await startServers(t, { flushIntervalMs: 500 });
    const gateway = await startGateway(t, servers);
    await startCounter(t, servers, { FLUSH_INTERVAL_MS: '500' });
    const keys = makeKeys(5);
    const accepted = new Map<string, number>();
    const agent = new Agent({ keepAlive: true });

    const key = fc.oneof(fc.constantFrom(...keys), fc.uuid(), fc.string(), fc.jsonValue());
    const value = fc.oneof(
      fc.integer({ min: -2, max: 1000 }).map(String),
      fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }).map(String),
      fc.double().map((number) => JSON.stringify(number)),
      fc.json(),
    );
    const increment = fc
      .record({
        key,
        value,
        extra: fc.option(fc.json(), { freq: 10 }),
        space: fc.constantFrom('', ' ', '\n'),
      })
      .map(({ key, value, extra, space }) => {
        const rest = extra === null ? '' : `,"extra":${extra}`;
        return `{${space}"key":${JSON.stringify(key)},"value":${space}${value}${rest}}`;
      });
    const body = fc.oneof(
      { weight: 4, arbitrary: increment },
      { weight: 1, arbitrary: fc.json() },
      { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 200 }) },
      {
        weight: 1,
        arbitrary: fc.array(increment, { maxLength: 5 }).map((items) => `[${items.join(',')}]`),
      },
    );
    const contentType = fc.oneof(
      { weight: 6, arbitrary: fc.constant('application/json') },
      {
        weight: 1,
        arbitrary: fc.constantFrom('application/x-ndjson', 'text/plain', '', 'a/b; charset=x'),
      },
    );
    const header = fc.string({ maxLength: 300 }).map((text) => text.replace(/[^\x20-\x7e]/g, ''));
    const path = fc.constantFrom('/increment', '/increment', '/increments', '/counters/x', '/');

    await fc.assert(
      fc.asyncProperty(
        body,
        contentType,
        fc.option(header),
        path,
        async (text, type, once, where) => {
          const headers: Record<string, string> = { 'content-type': type };
          if (once !== null) headers['idempotency-key'] = once;
          const answer = await send(`${gateway.url}${where}`, {
            method: 'POST',
            body: text,
            headers,
            agent,
          });
          if (answer.status >= 500) throw new Error(`${answer.status}: ${answer.body}`);
          if (answer.status !== 200 || answer.headers['idempotent-replayed'] === 'true') return;
          for (const { key, value } of readIncrements(text)) {
            accepted.set(key, (accepted.get(key) ?? 0) + value);
          }
        },
      ),
      { numRuns: RUNS },
    );
    agent.destroy();
    t.ok(total(accepted) > 0, 'some of it was good');
    const sums = new Map([...accepted].filter(([, sum]) => Number.isSafeInteger(sum)));
    const table = await readTable(sums.size);
    t.strictSame(differences(table, sums), []);

    async function readTable(size: number): Promise<Map<string, string>> {
      await untilTotal(servers.database, total(accepted), 10_000).catch(() => undefined);
      const counters = await readCounters(servers.database);
      t.ok(counters.size >= size);
      return new Map([...counters].filter(([each]) => sums.has(each)));
    }
  },
);

void t.test('bytes that are not HTTP are answered or cut off, and nothing breaks', async (t) => {
  const servers = await startServers(t);
  const gateway = await startGateway(t, servers);
  const { port } = new URL(gateway.url);
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 500 }), async (bytes) => {
      const answer = await sendRaw(Number(port), Buffer.from(bytes));
      if (answer.startsWith('HTTP/1.1 5')) throw new Error(answer);
    }),
    { numRuns: RUNS / 10 },
  );
  t.equal((await send(`${gateway.url}/livez`)).status, 200);
  t.match(
    await sendRaw(Number(port), Buffer.from(`GET / HTTP/1.1\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`)),
    /^HTTP\/1\.1 431/,
  );
});

/** What a body that was accepted adds; its values are small enough for a number where they are kept. */
function readIncrements(text: string): { key: string; value: number }[] {
  let items: unknown;
  try {
    items = JSON.parse(text);
  } catch {
    items = text
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map((line) => JSON.parse(line) as unknown);
  }
  return [items].flat().map((item) => {
    const { key, value } = item as { key: string; value: number };
    return { key: key.toLowerCase(), value };
  });
}

/** Sends bytes, says that no more will come, and returns what the server answers before it closes. */
function sendRaw(port: number, bytes: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.end(bytes));
    socket.setTimeout(15_000, () => socket.destroy(new Error('a hang')));
    socket.on('data', (chunk) => (answer += String(chunk)));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' || error.code === 'EPIPE' ? resolve(answer) : reject(error),
    );
    socket.on('close', () => resolve(answer));
  });
}
