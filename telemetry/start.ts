import { NodeSDK } from '@opentelemetry/sdk-node';
import { createMetricReaders } from './metric-readers.ts';
import { createProcessMetrics } from './process-metrics.ts';
import { createSampler } from './sampler.ts';
import { isTracing } from './tracing.ts';

/** Named here and not guessed by resource detectors, which would show the owner and command line. */
const NO_DETECTORS = 'env';

/**
 * Starts OpenTelemetry as the standard `OTEL_*` variables say; without any, metrics are served for
 * Prometheus on 127.0.0.1:9464/metrics and nothing is sent anywhere.
 *
 * @returns a function that flushes and stops it.
 */
export function startTelemetry(service: 'gateway' | 'counter'): () => Promise<void> {
  const environment = process.env;
  environment['OTEL_METRICS_EXPORTER'] ??= 'prometheus';
  environment['OTEL_EXPORTER_PROMETHEUS_HOST'] ??= '127.0.0.1';
  environment['OTEL_TRACES_EXPORTER'] ??= 'none';
  environment['OTEL_LOGS_EXPORTER'] ??= 'none';
  environment['OTEL_NODE_RESOURCE_DETECTORS'] ??= NO_DETECTORS;

  const sdk = new NodeSDK({
    serviceName: environment['OTEL_SERVICE_NAME'] ?? service,
    metricReaders: createMetricReaders(environment),
    ...(isTracing(environment) && { sampler: createSampler(environment) }),
  });
  sdk.start();
  createProcessMetrics();
  return () => sdk.shutdown();
}
