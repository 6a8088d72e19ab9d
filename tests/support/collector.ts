import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';

export interface OtlpMetric {
  name: string;
  unit?: string;
  histogram?: { dataPoints: { count: string; bucketCounts: string[] }[] };
}

export interface OtlpSpan {
  name: string;
  kind: number;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  links?: { traceId: string; spanId: string }[];
  attributes: { key: string; value: { stringValue?: string; intValue?: number | string } }[];
}

export interface Collector {
  readonly metrics: OtlpMetric[];
  readonly spans: OtlpSpan[];
  /** What makes a service send here. */
  environment: NodeJS.ProcessEnv;
}

interface Scopes {
  resourceMetrics?: { scopeMetrics: { metrics: OtlpMetric[] }[] }[];
  resourceSpans?: { scopeSpans: { spans: OtlpSpan[] }[] }[];
}

/** Takes OTLP over HTTP, in JSON, and keeps what came. */
export async function startCollector(t: Test): Promise<Collector> {
  const metrics: OtlpMetric[] = [];
  const spans: OtlpSpan[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const { resourceMetrics = [], resourceSpans = [] } = JSON.parse(
        Buffer.concat(parts).toString(),
      ) as Scopes;
      for (const { scopeMetrics } of resourceMetrics)
        for (const scope of scopeMetrics) metrics.push(...scope.metrics);
      for (const { scopeSpans } of resourceSpans)
        for (const scope of scopeSpans) spans.push(...scope.spans);
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
  return { metrics, spans, environment };
}
