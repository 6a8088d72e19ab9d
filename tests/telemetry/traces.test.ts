import { setTimeout as delay } from 'node:timers/promises';
import { randomBytes, randomUUID } from 'node:crypto';
import t from 'tap';
import { startCollector, type OtlpSpan } from '../support/collector.ts';
import { untilTotal } from '../support/counters.ts';
import { send } from '../support/load.ts';
import { freeze } from '../support/freeze.ts';
import { startServers } from '../support/servers.ts';
import { startCounter, startGateway } from '../support/services.ts';
import { until } from '../support/until.ts';

const FAST = { FLUSH_INTERVAL_MS: '300' };
const SERVER = 2;
const CLIENT = 3;
const PRODUCER = 4;
const CONSUMER = 5;

await t.test('a trace follows an increment from its request to its commit', async (t) => {
  const servers = await startServers(t);
  const collector = await startCollector(t);
  const tracing = {
    ...collector.environment,
    OTEL_TRACES_EXPORTER: 'otlp',
    OTEL_BSP_SCHEDULE_DELAY: '100',
  };
  const gateway = await startGateway(t, servers, tracing);
  await startCounter(t, servers, { ...tracing, ...FAST });
  const post = (value: number, sampled: boolean, path = '/increment') => {
    const [traceId, spanId] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
    const increment = `{"key":"${randomUUID()}","value":${value}}`;
    return send(`${gateway.url}${path}`, {
      method: 'POST',
      body: path === '/increment' ? increment : `[${increment}]`,
      headers: { traceparent: `00-${traceId}-${spanId}-${sampled ? '01' : '00'}` },
    }).then(({ status, body }) => ({ status, body, traceId, spanId }));
  };

  await t.test('each hop links to what it serves', async (t) => {
    const sent = await post(1, true);
    t.equal(sent.status, 200);
    await untilTotal(servers.database, 1);
    const spanOf = async (name: string, isIt: (span: OtlpSpan) => boolean) => {
      const find = () => collector.spans.filter((span) => span.name === name && isIt(span));
      const [found] = await until(name, find, (spans) => spans.length > 0);
      return found!;
    };

    const request = await spanOf('POST /increment', ({ traceId }) => traceId === sent.traceId);
    t.match(request, { kind: SERVER, parentSpanId: sent.spanId }, 'in the trace of its client');
    const message = await spanOf('send increments', (span) => linksTo(span, request));
    t.equal(message.kind, PRODUCER);
    const { id, sequence } = JSON.parse(sent.body) as { id: string; sequence: number };
    t.equal(attributeOf(message, 'messaging.message.id'), id);
    t.equal(attributeOf(message, 'messaging.nats.stream.sequence'), sequence);
    const receipt = await spanOf('receive increments', (span) => linksTo(span, message));
    t.equal(receipt.kind, CLIENT);
    const flush = await spanOf('process increments', (span) => linksTo(span, message));
    t.equal(flush.kind, CONSUMER);
    const inFlush = ({ parentSpanId }: OtlpSpan) => parentSpanId === flush.spanId;
    await spanOf('flush commit', inFlush);
    const purge = await spanOf('settle increments', (span) => linksTo(span, flush));
    t.equal(purge.kind, CLIENT);
  });

  await t.test(
    'what shares a message is linked together, what is not sampled is not',
    async (t) => {
      const before = collector.spans.length;
      // What waits for a broker that stands still shares a message.
      await freeze(servers.nats);
      const posting = Array.from({ length: 20 }, (_, index) => post(1, index % 2 === 0));
      await delay(500);
      servers.nats.kill('SIGCONT');
      const sent = await Promise.all(posting);
      const batch = await post(1, true, '/increments');
      await untilTotal(servers.database, 22);
      const areAllThere = (spans: OtlpSpan[]) =>
        spans.some(({ name }) => name === 'settle increments') &&
        spans.filter(({ kind }) => kind === SERVER).length === 11;
      const spans = await until('all spans', () => collector.spans.slice(before), areAllThere);

      const traces = new Set(spans.map(({ traceId }) => traceId));
      t.ok(traces.has(batch.traceId), 'a batch is traced too');
      t.strictSame(
        sent.map(({ traceId }) => traces.has(traceId)),
        sent.map((_, index) => index % 2 === 0),
      );
      const messages = spans.filter(({ name }) => name === 'send increments');
      const links = messages.flatMap((span) => span.links ?? []);
      t.equal(links.length, 11, 'each sampled request is linked to once');
      t.ok(messages.length < 11, `${messages.length} messages for 21 requests`);
    },
  );
});

function linksTo(span: OtlpSpan, served: OtlpSpan): boolean {
  return (span.links ?? []).some(
    ({ traceId, spanId }) => traceId === served.traceId && spanId === served.spanId,
  );
}

function attributeOf(span: OtlpSpan, key: string): unknown {
  const value = span.attributes.find((attribute) => attribute.key === key)?.value;
  return value?.stringValue ?? Number(value?.intValue);
}
