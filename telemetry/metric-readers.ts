import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import {
  AggregationTemporality,
  ConsoleMetricExporter,
  InstrumentType,
  PeriodicExportingMetricReader,
  type CollectionResult,
  type MetricData,
  type MetricReader,
  type PushMetricExporter,
} from '@opentelemetry/sdk-metrics';
import { ConfigurationError } from '../schema/settings/environment.ts';
import { createCountedProducer } from './counted-histogram.ts';
import type { Log } from './log.ts';
import type { TelemetrySettings } from './settings.ts';
import { watchExports } from './watch-exports.ts';

/**
 * The readers that `OTEL_METRICS_EXPORTER` names, made as the SDK does it, but with the histograms that are
 * counted outside the SDK.
 *
 * @throws ConfigurationError if metrics can't be served for Prometheus.
 */
export async function createMetricReaders(
  settings: TelemetrySettings,
  log: Log,
): Promise<MetricReader[]> {
  const names = settings.OTEL_METRICS_EXPORTER.split(',').map((name) => name.trim());
  if (names.includes('none')) return [];
  const readers = [...new Set(names)].map(async (name) => {
    if (name === 'prometheus') return servePrometheus(settings);
    const exporter =
      name === 'console' ? new ConsoleMetricExporter() : await createOtlpExporter(settings);
    const intervalMs = settings.OTEL_METRIC_EXPORT_INTERVAL;
    const temporality = exporter.selectAggregationTemporality?.(InstrumentType.HISTOGRAM);
    return new PeriodicExportingMetricReader({
      metricProducers: [createCountedProducer(temporality ?? AggregationTemporality.CUMULATIVE)],
      exporter: watchExports(exporter, { signal: 'metrics', log }),
      exportIntervalMillis: intervalMs,
      exportTimeoutMillis: Math.min(settings.OTEL_METRIC_EXPORT_TIMEOUT, intervalMs),
    });
  });
  return Promise.all(readers);
}

/** Fails at the start: a missing metrics endpoint would go unnoticed until an incident. */
async function servePrometheus({
  OTEL_EXPORTER_PROMETHEUS_HOST: host,
  OTEL_EXPORTER_PROMETHEUS_PORT: port,
}: TelemetrySettings): Promise<MetricReader> {
  const metricProducers = [createCountedProducer(AggregationTemporality.CUMULATIVE)];
  const reader = new PrometheusReader({ metricProducers, host, port, preventServerStart: true });
  try {
    await reader.startServer();
  } catch (error) {
    throw new ConfigurationError([
      `metrics can't be served on ${host}:${port} (${(error as Error).message}): set OTEL_EXPORTER_PROMETHEUS_PORT ` +
        `to a free port, each service its own, or OTEL_METRICS_EXPORTER=none`,
    ]);
  }
  return reader;
}

/**
 * Adds units to names, as the collector does for OTLP: a metric has the same name in Prometheus by either
 * way.
 */
class PrometheusReader extends PrometheusExporter {
  override async collect(): Promise<CollectionResult> {
    const { resourceMetrics, errors } = await super.collect();
    const scopeMetrics = resourceMetrics.scopeMetrics.map(({ scope, metrics }) => ({
      scope,
      metrics: metrics.map(withUnitInName),
    }));
    return { resourceMetrics: { ...resourceMetrics, scopeMetrics }, errors };
  }
}

const SUFFIXES: Record<string, string> = { s: 'seconds', By: 'bytes', 1: 'ratio' };

function withUnitInName(metric: MetricData): MetricData {
  const { name, unit } = metric.descriptor;
  const suffix = SUFFIXES[unit];
  if (suffix === undefined || name.endsWith(suffix)) return metric;
  return { ...metric, descriptor: { ...metric.descriptor, name: `${name}_${suffix}` } };
}

/** Loads only the exporter that is needed: they load gRPC and Protocol Buffers. */
async function createOtlpExporter(settings: TelemetrySettings): Promise<PushMetricExporter> {
  const protocol =
    settings.OTEL_EXPORTER_OTLP_METRICS_PROTOCOL ?? settings.OTEL_EXPORTER_OTLP_PROTOCOL;
  const { OTLPMetricExporter } = await (protocol === 'grpc'
    ? import('@opentelemetry/exporter-metrics-otlp-grpc')
    : protocol === 'http/json'
      ? import('@opentelemetry/exporter-metrics-otlp-http')
      : import('@opentelemetry/exporter-metrics-otlp-proto'));
  return new OTLPMetricExporter();
}
