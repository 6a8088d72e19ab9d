import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import {
  ConsoleMetricExporter,
  PeriodicExportingMetricReader,
  type CollectionResult,
  type MetricData,
  type MetricReader,
  type PushMetricExporter,
} from '@opentelemetry/sdk-metrics';
import { ConfigurationError } from '../schema/settings/environment.ts';
import { countedHistograms } from './counted-histogram.ts';

const metricProducers = [countedHistograms];
const INTERVAL_MS = 60_000;
const TIMEOUT_MS = 30_000;

/**
 * The readers that `OTEL_METRICS_EXPORTER` names, made from the standard variables as the SDK does it, but
 * with the histograms that are counted outside the SDK.
 *
 * @throws ConfigurationError for an unknown name, or if metrics can't be served for Prometheus.
 */
export async function createMetricReaders(environment: NodeJS.ProcessEnv): Promise<MetricReader[]> {
  const names = (environment['OTEL_METRICS_EXPORTER'] ?? '').split(',').map((name) => name.trim());
  if (names.includes('none')) return [];
  const readers = [...new Set(names)].filter(Boolean).map(async (name) => {
    if (name === 'prometheus') return servePrometheus(environment);
    const exportIntervalMillis = readNumber(
      environment,
      'OTEL_METRIC_EXPORT_INTERVAL',
      INTERVAL_MS,
    );
    const timeoutMs = readNumber(environment, 'OTEL_METRIC_EXPORT_TIMEOUT', TIMEOUT_MS);
    return new PeriodicExportingMetricReader({
      metricProducers,
      exporter: await createExporter(name, environment),
      exportIntervalMillis,
      exportTimeoutMillis: Math.min(timeoutMs, exportIntervalMillis),
    });
  });
  return Promise.all(readers);
}

/** Fails at the start: a missing metrics endpoint would go unnoticed until an incident. */
async function servePrometheus(environment: NodeJS.ProcessEnv): Promise<MetricReader> {
  const host = environment['OTEL_EXPORTER_PROMETHEUS_HOST'] ?? '127.0.0.1';
  const port = readNumber(environment, 'OTEL_EXPORTER_PROMETHEUS_PORT', 9464);
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
async function createExporter(
  name: string,
  environment: NodeJS.ProcessEnv,
): Promise<PushMetricExporter> {
  if (name === 'console') return new ConsoleMetricExporter();
  if (name !== 'otlp') {
    throw new ConfigurationError([
      `OTEL_METRICS_EXPORTER has "${name}"; it may list prometheus, otlp and console, or be none`,
    ]);
  }
  const protocol =
    environment['OTEL_EXPORTER_OTLP_METRICS_PROTOCOL'] ??
    environment['OTEL_EXPORTER_OTLP_PROTOCOL'];
  const { OTLPMetricExporter } = await (protocol === 'grpc'
    ? import('@opentelemetry/exporter-metrics-otlp-grpc')
    : protocol === 'http/json'
      ? import('@opentelemetry/exporter-metrics-otlp-http')
      : import('@opentelemetry/exporter-metrics-otlp-proto'));
  return new OTLPMetricExporter();
}

function readNumber(environment: NodeJS.ProcessEnv, name: string, otherwise: number): number {
  const value = Number(environment[name] ?? '');
  return Number.isFinite(value) && value > 0 ? value : otherwise;
}
