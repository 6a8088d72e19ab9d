import { setTimeout as delay } from 'node:timers/promises';
import { randomBytes, randomUUID } from 'node:crypto';
import { request } from 'node:http';
import t from 'tap';
import { readAttributes, startCollector, type OtlpSpan } from '../support/collector.ts';
import { untilTotal } from '../support/counters.ts';
import { send } from '../support/load.ts';
import { freeze } from '../support/freeze.ts';
import { startServers } from '../support/servers.ts';
import { startCounter, startGateway } from '../support/services.ts';
import { openStreams } from '../support/stream.ts';
import { until } from '../support/until.ts';

const INTERNAL = 1;
const SERVER = 2;
const CLIENT = 3;
const PRODUCER = 4;
const CONSUMER = 5;
const ERROR = 2;

await t.test('a trace follows an increment from its request to its commit', async (t) => {
  const servers = await startServers(t);
  const collector = await startCollector(t);
  const tracing = {
    ...collector.environment,
    OTEL_TRACES_EXPORTER: 'otlp',
    OTEL_BSP_SCHEDULE_DELAY: '100',
  };
  const [gateway, counter, stream] = await Promise.all([
    startGateway(t, servers, tracing),
    startCounter(t, servers, { ...tracing, FLUSH_INTERVAL_MS: '300' }),
    openStreams(t, servers),
  ]);
  let total = 0;

  interface Options {
    isSampled?: boolean;
    path?: string;
    headers?: Record<string, string>;
  }
  const post = ({ isSampled = true, path = '/increment', headers }: Options = {}) => {
    total++;
    const trace = startTrace(isSampled);
    const increment = `{"key":"${randomUUID()}","value":1}`;
    return send(`${gateway.url}${path}`, {
      method: 'POST',
      body: path === '/increment' ? increment : `[${increment}]`,
      headers: { traceparent: trace.traceparent, ...headers },
    }).then(({ status, body, headers: answered }) => ({ ...trace, status, body, answered }));
  };
  const spanOf = async (name: string, isIt: (span: OtlpSpan) => boolean) => {
    const find = () => collector.spans.filter((span) => span.name === name && isIt(span));
    const [found] = await until(name, find, (spans) => spans.length > 0);
    return found!;
  };

  await t.test('each hop links to what it serves, and a request to its message', async (t) => {
    const sent = await post();
    t.equal(sent.status, 200);
    await untilTotal(servers.database, total);
    const stored = JSON.parse(sent.body) as { id: string; sequence: number };
    const ofMessage = {
      'messaging.message.id': stored.id,
      'messaging.nats.stream.sequence': stored.sequence,
    };

    const served = await spanOf('POST /increment', ({ traceId }) => traceId === sent.traceId);
    t.match(served, { kind: SERVER, parentSpanId: sent.spanId }, 'in the trace of its client');
    const message = await spanOf('send INCREMENTS', (span) => linksTo(span, served));
    t.equal(message.kind, PRODUCER);
    t.ok(linksTo(served, message), 'forward, too');
    t.match(readAttributes(served.attributes), ofMessage);
    t.match(readAttributes(message.attributes), ofMessage);
    const receipt = await spanOf('receive INCREMENTS', (span) => linksTo(span, message));
    t.equal(receipt.kind, CLIENT);
    const flush = await spanOf('process INCREMENTS', (span) => linksTo(span, message));
    t.equal(flush.kind, CONSUMER);
    t.same(
      flush.events?.map(({ attributes }) => readAttributes(attributes)),
      [ofMessage],
    );
    const inFlush = ({ parentSpanId }: OtlpSpan) => parentSpanId === flush.spanId;
    await spanOf('flush commit', inFlush);
    const purge = await spanOf('settle INCREMENTS', (span) => linksTo(span, flush));
    t.equal(purge.kind, CLIENT);
  });

  await t.test('spans have the names and attributes of the conventions', async (t) => {
    const { port } = new URL(gateway.url);
    const sent = await post();
    const served = await spanOf('POST /increment', ({ traceId }) => traceId === sent.traceId);
    t.match(readAttributes(served.attributes), {
      'http.request.method': 'POST',
      'http.route': '/increment',
      'http.response.status_code': 200,
      'url.scheme': 'http',
      'url.path': '/increment',
      'server.address': '127.0.0.1',
      'server.port': Number(port),
      'network.protocol.version': '1.1',
      'increment_mesh.request.id': sent.answered['x-request-id'],
    });
    t.notMatch(JSON.stringify(served.attributes), /error\.type|http\.request\.header/);

    const message = await spanOf('send INCREMENTS', (span) => linksTo(span, served));
    const sending = readAttributes(message.attributes);
    t.match(sending, { 'messaging.operation.type': 'send', 'increment_mesh.message.requests': 1 });
    t.notOk('messaging.batch.message_count' in sending, 'one message is no batch');
    const flush = await spanOf('process INCREMENTS', (span) => linksTo(span, message));
    t.match(readAttributes(flush.attributes), {
      'messaging.operation.type': 'process',
      'messaging.destination.name': 'INCREMENTS',
      'messaging.batch.message_count': 1,
    });

    const { traceId, traceparent } = startTrace();
    await send(`${gateway.url}/nowhere?token=secret`, {
      method: 'PROPFIND',
      headers: { traceparent },
    });
    const refused = await spanOf('HTTP', (span) => span.traceId === traceId);
    t.match(readAttributes(refused.attributes), {
      'http.request.method': '_OTHER',
      'http.request.method_original': 'PROPFIND',
      'url.path': '/nowhere',
      'http.response.status_code': 404,
      'increment_mesh.problem.code': 'no-such-route',
    });
    t.notMatch(JSON.stringify(refused), /secret|error\.type/);
    t.not(refused.status?.code, ERROR, "a client's fault is no error of the server");
  });

  await t.test('a repeated request has the message of the first', async (t) => {
    const headers = { 'idempotency-key': randomUUID() };
    const body = `{"key":"${randomUUID()}","value":1}`;
    const url = `${gateway.url}/increment`;
    await send(url, { method: 'POST', body, headers });
    total++;
    const { traceId, traceparent } = startTrace();
    const again = await send(url, { method: 'POST', body, headers: { ...headers, traceparent } });
    t.equal(again.headers['idempotent-replayed'], 'true');
    const { id, sequence } = JSON.parse(again.body) as { id: string; sequence: number };
    const served = await spanOf('POST /increment', (span) => span.traceId === traceId);
    t.match(readAttributes(served.attributes), {
      'messaging.message.id': id,
      'messaging.nats.stream.sequence': sequence,
    });
  });

  await t.test(
    'what shares a message is linked together, what is not sampled is not',
    async (t) => {
      const before = collector.spans.length;
      // What waits for a broker that stands still shares a message.
      await freeze(servers.nats);
      const posting = Array.from({ length: 20 }, (_, index) =>
        post({ isSampled: index % 2 === 0 }),
      );
      const leaving = startTrace();
      const gone = request(`${gateway.url}/increment`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', traceparent: leaving.traceparent },
      }).on('error', () => undefined);
      gone.end(`{"key":"${randomUUID()}","value":1}`);
      total++;
      await delay(500);
      gone.destroy();
      const left = await spanOf('POST /increment', ({ traceId }) => traceId === leaving.traceId);
      t.equal(readAttributes(left.attributes)['error.type'], 'client-gone', 'it is exported');
      servers.nats.kill('SIGCONT');
      const sent = await Promise.all(posting);
      const batch = await post({ path: '/increments' });
      await untilTotal(servers.database, total);
      const areAllThere = (spans: OtlpSpan[]) =>
        spans.some(({ name }) => name === 'settle INCREMENTS') &&
        spans.filter(({ kind }) => kind === SERVER).length === 12;
      const spans = await until('all spans', () => collector.spans.slice(before), areAllThere);

      const traces = new Set(spans.map(({ traceId }) => traceId));
      t.ok(traces.has(batch.traceId), 'a batch is traced too');
      t.strictSame(
        sent.map(({ traceId }) => traces.has(traceId)),
        sent.map((_, index) => index % 2 === 0),
      );
      const messages = spans.filter(({ name }) => name === 'send INCREMENTS');
      const links = messages.flatMap((span) => span.links ?? []);
      t.equal(links.length, 12, 'each sampled request is linked to once');
      t.ok(messages.length < 12, `${messages.length} messages for 22 requests`);
    },
  );

  await t.test('every request can be followed to a flush of hundreds of messages', async (t) => {
    const before = collector.spans.length;
    await freeze(counter);
    const sent: Awaited<ReturnType<typeof post>>[] = [];
    const client = async () => {
      for (let index = 0; index < 200; index++) sent.push(await post());
    };
    await Promise.all([client(), client()]);
    counter.kill('SIGCONT');
    await untilTotal(servers.database, total);
    const findNew = (name: string) =>
      collector.spans.slice(before).filter((span) => span.name === name);
    const countFollowed = () => {
      const requests = new Map(findNew('POST /increment').map((span) => [span.traceId, span]));
      const messages = new Map(findNew('send INCREMENTS').map((span) => [span.traceId, span]));
      const flushes = findNew('process INCREMENTS').flatMap(({ links = [] }) => links);
      const flushed = new Set(flushes.map(({ traceId }) => traceId));
      return sent.filter(({ traceId }) =>
        requests
          .get(traceId)
          ?.links?.some((to) => messages.has(to.traceId) && flushed.has(to.traceId)),
      ).length;
    };
    await until('every request at its flush', countFollowed, (count) => count === sent.length);
    const sizes = findNew('process INCREMENTS').map(({ links = [] }) => links.length);
    t.ok(Math.max(...sizes) > 128, `flushes of ${sizes.join(', ')} messages`);
    const isCut = ({ droppedLinksCount = 0 }: OtlpSpan) => droppedLinksCount > 0;
    t.strictSame(collector.spans.filter(isCut), [], 'the SDK drops no link');
  });

  await t.test('a dead letter is in the trace of its message, with its reason', async (t) => {
    const { traceId, spanId, traceparent } = startTrace();
    const sequence = await stream.store('not an envelope', { traceparent });
    const dead = await spanOf('dead-letter INCREMENTS', (span) => span.traceId === traceId);
    t.match(dead, { kind: INTERNAL, parentSpanId: spanId, status: { code: ERROR } });
    t.match(readAttributes(dead.attributes), {
      'error.type': 'not-json',
      'messaging.nats.stream.sequence': sequence,
    });
    await spanOf('process INCREMENTS', (flush) => linksTo(dead, flush) && hasMessage(flush));
    function hasMessage({ links = [] }: OtlpSpan) {
      return links.some((link) => link.spanId === spanId);
    }
  });
});

function startTrace(isSampled = true) {
  const [traceId, spanId] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}` };
}

function linksTo(span: OtlpSpan, served: OtlpSpan): boolean {
  return (span.links ?? []).some(
    ({ traceId, spanId }) => traceId === served.traceId && spanId === served.spanId,
  );
}
