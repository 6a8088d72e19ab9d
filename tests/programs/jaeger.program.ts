import { randomBytes, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import t from 'tap';
import { untilTotal } from '../support/counters.ts';
import { makeFolder } from '../support/folders.ts';
import { post } from '../support/load.ts';
import { startServers } from '../support/servers.ts';
import { startCounter, startGateway } from '../support/services.ts';
import { until } from '../support/until.ts';
import { findCollectorPorts, startCollector } from './collector.ts';
import { findCollector } from './find-collector.ts';
import { findJaeger, startJaeger, type JaegerSpan } from './jaeger.ts';

const MESSAGE_ID = 'messaging.message.id';
const OPERATION = 'messaging.operation.name';

t.setTimeout(1_750_000);

await t.test('one increment is followed in Jaeger, from its request to its commit', async (t) => {
  const [program, collector] = [await findJaeger(), await findCollector()];
  if (typeof program !== 'string' || typeof collector !== 'string') {
    for (const one of [program, collector]) {
      if (typeof one !== 'string') t.pass(one.reason, { skip: true });
    }
    return;
  }
  const folder = makeFolder(t);
  const jaeger = await startJaeger(t, program, folder);
  const servers = await startServers(t, { flushIntervalMs: 300 });
  const ports = await findCollectorPorts();
  const tracing = {
    OTEL_TRACES_EXPORTER: 'otlp',
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${ports.http}`,
    OTEL_BSP_SCHEDULE_DELAY: '100',
  };
  const gateway = await startGateway(t, servers, tracing);
  const counter = await startCounter(t, servers, { ...tracing, FLUSH_INTERVAL_MS: '300' });
  await startCollector(t, collector, {
    file: join(folder, 'collector.yaml'),
    ports,
    tracesUrl: jaeger.otlpUrl,
    targets: { gateway: [gateway], counter: [counter] },
  });

  const [traceId, clientId] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
  const increment = { key: randomUUID(), value: 1 };
  const answer = await post(gateway.url, increment, {
    traceparent: `00-${traceId}-${clientId}-01`,
  });
  t.equal(answer.status, 200);
  const { id } = JSON.parse(answer.body) as { id: string };
  await untilTotal(servers.database, 1);

  const find = (
    what: string,
    ask: () => Promise<JaegerSpan[]>,
    isIt: (one: JaegerSpan) => boolean,
  ) => until(what, async () => (await ask()).find(isIt));

  const request = await find(
    'the request, by the trace of its client',
    () => jaeger.readTrace(traceId),
    ({ operationName }) => operationName === 'POST /increment',
  );
  t.match(request.references, [{ refType: 'CHILD_OF', traceID: traceId, spanID: clientId }]);

  const message = await find(
    'the message, by its id',
    () => jaeger.search('gateway', { [MESSAGE_ID]: id }),
    (span) => tagOf(span, OPERATION) === 'send',
  );
  t.equal(tagOf(message, MESSAGE_ID), id);
  t.ok(areLinked(request, message), 'linked to the request');

  const flush = await find(
    'the flush, by the id of the message',
    () => jaeger.search('counter', { [MESSAGE_ID]: id }),
    (span) => tagOf(span, OPERATION) === 'process' && areLinked(message, span),
  );
  const commit = await find(
    'the commit, in the trace of the flush',
    () => jaeger.readTrace(flush.traceID),
    ({ operationName }) => operationName === 'flush commit',
  );
  t.match(commit.references, [{ refType: 'CHILD_OF', spanID: flush.spanID }]);
});

/** In either direction. */
function areLinked(one: JaegerSpan, other: JaegerSpan): boolean {
  const refersTo = (from: JaegerSpan, to: JaegerSpan) =>
    from.references.some(({ traceID, spanID }) => traceID === to.traceID && spanID === to.spanID);
  return refersTo(one, other) || refersTo(other, one);
}

function tagOf({ tags }: JaegerSpan, name: string): unknown {
  return tags.find(({ key }) => key === name)?.value;
}
