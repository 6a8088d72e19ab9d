import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';

/** What a signal says of the process that sent it. */
export type OtlpResource = Record<string, string>;

export interface OtlpMetric {
  resource: OtlpResource;
  name: string;
  unit?: string;
  sum?: { aggregationTemporality: number; dataPoints: { asInt?: string; asDouble?: number }[] };
  histogram?: {
    aggregationTemporality: number;
    dataPoints: { count: string; bucketCounts: string[] }[];
  };
}

export interface OtlpSpan {
  resource: OtlpResource;
  name: string;
  kind: number;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  links?: { traceId: string; spanId: string }[];
  droppedLinksCount?: number;
  events?: { name: string; attributes: OtlpAttributes }[];
  status?: { code?: number; message?: string };
  attributes: OtlpAttributes;
}

type OtlpAttributes = {
  key: string;
  value: { stringValue?: string; intValue?: number | string };
}[];

export interface Collector {
  readonly metrics: OtlpMetric[];
  readonly spans: OtlpSpan[];
  /** What makes a service send here. */
  environment: NodeJS.ProcessEnv;
  /** Answers from now on with this status, or, if that is 0, not at all; with 200 it takes what comes. */
  answer: (status: number) => void;
}

interface Resource {
  resource: { attributes: { key: string; value: { stringValue?: string } }[] };
}

interface Scopes {
  resourceMetrics?: (Resource & { scopeMetrics: { metrics: OtlpMetric[] }[] })[];
  resourceSpans?: (Resource & { scopeSpans: { spans: OtlpSpan[] }[] })[];
}

/** Takes OTLP over HTTP, in JSON, and keeps what came. */
export async function startCollector(t: Test): Promise<Collector> {
  const metrics: OtlpMetric[] = [];
  const spans: OtlpSpan[] = [];
  let status = 200;
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      if (status !== 200) {
        if (status !== 0) response.writeHead(status).end();
        return;
      }
      const { resourceMetrics = [], resourceSpans = [] } = JSON.parse(
        Buffer.concat(parts).toString(),
      ) as Scopes;
      for (const { scopeMetrics, ...sender } of resourceMetrics)
        for (const metric of scopeMetrics.flatMap((scope) => scope.metrics))
          metrics.push({ ...metric, resource: attributesOf(sender) });
      for (const { scopeSpans, ...sender } of resourceSpans)
        for (const span of scopeSpans.flatMap((scope) => scope.spans))
          spans.push({ ...span, resource: attributesOf(sender) });
      response.setHeader('content-type', 'application/json').end('{}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const environment = {
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_EXPORTER_OTLP_ENDPOINT: url,
  };
  return { metrics, spans, environment, answer: (next) => (status = next) };
}

/** The attributes of a span or an event, as text or as numbers. */
export function readAttributes(attributes: OtlpAttributes): Record<string, string | number> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [key, value.stringValue ?? Number(value.intValue)]),
  );
}

function attributesOf({ resource }: Resource): OtlpResource {
  return Object.fromEntries(
    resource.attributes.map(({ key, value }) => [key, value.stringValue ?? '']),
  );
}
