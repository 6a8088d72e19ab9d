import { Agent } from 'node:http';
import { connect } from 'node:net';
import fc from 'fast-check';
import t from 'tap';
import { makeKeys, readCounters, untilCounted } from '../../support/counters.ts';
import { send } from '../../support/load.ts';
import { SEED } from '../../support/seed.ts';
import { shareMesh } from '../../support/shared-mesh.ts';
import { buildTestGateway } from '../test-gateway.ts';

/** Others with each seed; `FUZZ_RUNS=100000` for the long run. */
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 1_200);
/** At once, each with its own seed. */
const CLIENTS = 8;
const TIMEOUT_MS = Math.max(120_000, RUNS * 20);

void t.test(
  'no input gives a 5xx or a hang, and what got a 200 is counted',
  { timeout: TIMEOUT_MS },
  async (t) => {
    const { servers, gateway } = await shareMesh();
    const keys = makeKeys(5);
    const accepted = new Map<string, bigint>();
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
      {
        weight: 1,
        arbitrary: fc.array(increment, { maxLength: 5 }).map((items) => items.join('\n')),
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

    const property = fc.asyncProperty(
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
          accepted.set(key, (accepted.get(key) ?? 0n) + value);
        }
      },
    );
    const clients = Array.from({ length: CLIENTS }, (_, index) =>
      fc.assert(property, {
        numRuns: RUNS / CLIENTS,
        seed: SEED + index,
        // Chance may find none that is good.
        examples: [[`{"key":"${keys[0]}","value":1}`, 'application/json', null, '/increment']],
      }),
    );
    await Promise.all(clients);
    agent.destroy();
    const sum = [...accepted.values()].reduce((left, right) => left + right, 0n);
    t.ok(sum > 0n, 'some of it was good');
    for (const [each, value] of accepted) await untilCounted(servers.database, each, value);
    const expected = new Map([...accepted].map(([each, value]) => [each, String(value)]));
    const counters = await readCounters(servers.database);
    const found = [...counters].filter(([each]) => accepted.has(each));
    t.strictSame(sorted(new Map(found)), sorted(expected), 'exact for each key');
  },
);

const CRLF = Buffer.from('\r\n');

void t.test(
  'bytes that are hardly HTTP are answered or cut off, and nothing breaks',
  { timeout: TIMEOUT_MS },
  async (t) => {
    const { app } = await buildTestGateway(t);
    const url = await app.listen();
    const { port } = new URL(url);
    const bytes = fc.uint8Array({ maxLength: 500 }).map((array) => Buffer.from(array));
    const path = fc.oneof(
      fc.constantFrom(
        '/increment',
        '/increments',
        '/counters',
        '/readyz',
        '/openapi.json',
        '/docs',
      ),
      fc.webPath().map((text) => `/counters${text}`),
      fc.webQueryParameters().map((text) => `/counters?${text}`),
      fc.array(fc.uuid()).map((keys) => `/counters?${keys.map((key) => `key=${key}`).join('&')}`),
    );
    const name = fc.oneof(
      fc.constantFrom('content-type', 'idempotency-key', 'x-request-id', 'authorization', 'accept'),
      fc.constantFrom('content-length', 'transfer-encoding', 'expect', 'connection', 'traceparent'),
      fc.string({ maxLength: 20 }),
    );
    const request = fc
      .tuple(
        fc.constantFrom('GET', 'POST', 'HEAD', 'PUT'),
        path,
        fc.array(fc.tuple(name, bytes)),
        bytes,
      )
      .map(([method, where, headers, body]) =>
        Buffer.concat([
          Buffer.from(`${method} ${where} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n`),
          ...headers.flatMap(([each, value]) => [Buffer.from(`${each}: `), value, CRLF]),
          CRLF,
          body,
        ]),
      );
    await fc.assert(
      fc.asyncProperty(fc.oneof(bytes, request), async (sent) => {
        const answer = await sendRaw(Number(port), sent);
        if (answer.startsWith('HTTP/1.1 5')) throw new Error(answer);
      }),
      { numRuns: RUNS / 4, seed: SEED },
    );
    t.equal((await send(`${url}/livez`)).status, 200);
    t.match(
      await sendRaw(
        Number(port),
        Buffer.from(`GET / HTTP/1.1\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`),
      ),
      /^HTTP\/1\.1 431/,
    );
  },
);

function sorted(counters: Map<string, string>): Map<string, string> {
  return new Map([...counters].toSorted(([left], [right]) => (left < right ? -1 : 1)));
}

/** What a body that was accepted adds, with every digit. */
function readIncrements(text: string): { key: string; value: bigint }[] {
  let items: unknown;
  try {
    items = parse(text);
  } catch {
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    items = lines.map(parse);
  }
  return [items].flat().map((item) => {
    const { key, value } = item as { key: string; value: bigint };
    return { key: key.toLowerCase(), value };
  });
}

function parse(text: string): unknown {
  const readExactly = (name: string, value: unknown, context?: { source?: string }) =>
    name === 'value' ? BigInt(context?.source ?? '') : value;
  return JSON.parse(text, readExactly) as unknown;
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
