import { metrics } from '@opentelemetry/api';
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { createMetricReaders } from './metric-readers.ts';
import { createProcessMetrics } from './process-metrics.ts';
import { createSampler } from './sampler.ts';
import { isTracing } from './tracing.ts';

/**
 * Starts OpenTelemetry by the standard `OTEL_*` variables; without any, metrics are served for Prometheus
 * on 127.0.0.1:9464/metrics and nothing is sent anywhere.
 *
 * @returns a function that flushes and stops it.
 */
export async function startTelemetry(service: 'gateway' | 'counter'): Promise<() => Promise<void>> {
  const environment = process.env;
  environment['OTEL_METRICS_EXPORTER'] ??= 'prometheus';
  environment['OTEL_EXPORTER_PROMETHEUS_HOST'] ??= '127.0.0.1';
  environment['OTEL_TRACES_EXPORTER'] ??= 'none';
  environment['OTEL_LOGS_EXPORTER'] ??= 'none';
  environment['OTEL_NODE_RESOURCE_DETECTORS'] ??= NO_DETECTORS;

  const start = needsWholeSdk(environment) ? startWholeSdk : startMetrics;
  const stop = await start(environment['OTEL_SERVICE_NAME'] ?? service, environment);
  createProcessMetrics();
  return stop;
}

/** Detectors of resources would publish the owner and command line of the process. */
const NO_DETECTORS = 'env';

type Start = (serviceName: string, environment: NodeJS.ProcessEnv) => Promise<() => Promise<void>>;

function needsWholeSdk(environment: NodeJS.ProcessEnv): boolean {
  return isTracing(environment) || environment['OTEL_LOGS_EXPORTER'] !== 'none';
}

/**
 * Metrics alone need not load the whole SDK with all its exporters: 15 MiB and a third of a second at each
 * start.
 */
const startMetrics: Start = async (serviceName, environment) => {
  if (environment['OTEL_SDK_DISABLED'] === 'true') return () => Promise.resolve();
  const provider = new MeterProvider({
    readers: await createMetricReaders(environment),
    resource: defaultResource()
      .merge(detectResources({ detectors: [envDetector] }))
      .merge(resourceFromAttributes({ 'service.name': serviceName })),
  });
  metrics.setGlobalMeterProvider(provider);
  return () => provider.shutdown();
};

const startWholeSdk: Start = async (serviceName, environment) => {
  const { NodeSDK } = await import('@opentelemetry/sdk-node');
  const sdk = new NodeSDK({
    serviceName,
    metricReaders: await createMetricReaders(environment),
    ...(isTracing(environment) && { sampler: createSampler(environment) }),
  });
  sdk.start();
  return () => sdk.shutdown();
};
