import { setTimeout as delay } from 'node:timers/promises';
import { diag, DiagLogLevel, metrics } from '@opentelemetry/api';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { ConsoleSpanExporter, type SpanExporter } from '@opentelemetry/sdk-trace';
import type { Log } from './log.ts';
import { createMetricReaders } from './metric-readers.ts';
import { createProcessMetrics } from './process-metrics.ts';
import { createResource } from './resource.ts';
import { createSampler } from './sampler.ts';
import type { TelemetrySettings } from './settings.ts';
import { throttleWarnings } from './throttled-warning.ts';
import { isTracing, SPAN_LIMITS } from './tracing.ts';
import { watchExports } from './watch-exports.ts';

/** What is left is exported in this time; a collector that is away delays no stop. */
const LAST_EXPORT_MS_MAX = 1_000;
/** A diagnostic may hold what was exported. */
const DIAGNOSTIC_LENGTH_MAX = 300;
/** What the SDK says after it had no room for spans, each time with another number. */
const DROPPED_SPANS = /^Dropped \d+ spans/;
const SPANS_DROPPED =
  'traces have gaps, since too many spans wait for their export: trace fewer requests by OTEL_TRACES_SAMPLER_ARG, or raise OTEL_BSP_MAX_QUEUE_SIZE';

type Service = 'gateway' | 'counter';
/** Everything that is to be stopped. */
type Provider = { shutdown: () => Promise<void> };

/**
 * Starts OpenTelemetry by its standard variables; without any, metrics are served for Prometheus on
 * 127.0.0.1:9464/metrics and nothing is sent anywhere.
 *
 * @returns a function that exports what is left, and stops it in time. It never fails.
 */
export async function startTelemetry(
  service: Service,
  settings: TelemetrySettings,
  log: Log,
): Promise<() => Promise<void>> {
  if (settings.OTEL_SDK_DISABLED === 'true') return () => Promise.resolve();
  logDiagnostics(log);
  const start = isTracing() ? startWithTraces : startMetrics;
  const provider = await start(service, settings, log);
  createProcessMetrics();
  return () => stop(provider, log);
}

/** What the SDK has to say, in this log, and not again and again. */
function logDiagnostics(log: Log): void {
  const warn = throttleWarnings(log);
  const say = (message: string) =>
    warn(
      DROPPED_SPANS.test(message)
        ? SPANS_DROPPED
        : `OpenTelemetry: ${message.slice(0, DIAGNOSTIC_LENGTH_MAX)}`,
    );
  const ignore = (): void => undefined;
  // By it the SDK would write to the console instead.
  delete process.env['OTEL_LOG_LEVEL'];
  diag.setLogger(
    { error: say, warn: say, info: ignore, debug: ignore, verbose: ignore },
    DiagLogLevel.WARN,
  );
}

type Start = (service: Service, settings: TelemetrySettings, log: Log) => Promise<Provider>;

/**
 * Metrics alone need not load the whole SDK with all its exporters: 15 MiB and a third of a second at each
 * start.
 */
const startMetrics: Start = async (service, settings, log) => {
  const provider = new MeterProvider({
    readers: await createMetricReaders(settings, log),
    resource: createResource(service),
  });
  metrics.setGlobalMeterProvider(provider);
  return provider;
};

const startWithTraces: Start = async (service, settings, log) => {
  const { NodeSDK } = await import('@opentelemetry/sdk-node');
  const sdk = new NodeSDK({
    resource: createResource(service),
    autoDetectResources: false,
    metricReaders: await createMetricReaders(settings, log),
    traceExporter: watchExports(await createSpanExporter(settings), { signal: 'traces', log }),
    sampler: createSampler(settings),
    spanLimits: SPAN_LIMITS,
    // Logs are lines on standard output.
    logRecordProcessors: [],
  });
  sdk.start();
  return sdk;
};

async function createSpanExporter(settings: TelemetrySettings): Promise<SpanExporter> {
  if (settings.OTEL_TRACES_EXPORTER === 'console') return new ConsoleSpanExporter();
  const protocol =
    settings.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL ?? settings.OTEL_EXPORTER_OTLP_PROTOCOL;
  const { OTLPTraceExporter } = await (protocol === 'grpc'
    ? import('@opentelemetry/exporter-trace-otlp-grpc')
    : protocol === 'http/json'
      ? import('@opentelemetry/exporter-trace-otlp-http')
      : import('@opentelemetry/exporter-trace-otlp-proto'));
  return new OTLPTraceExporter();
}

async function stop(provider: Provider, log: Log): Promise<void> {
  const stopped = provider.shutdown().then(
    () => undefined,
    (error: unknown) => (error as Error).message,
  );
  const late = `it took longer than ${LAST_EXPORT_MS_MAX} ms`;
  const problem = await Promise.race([stopped, delay(LAST_EXPORT_MS_MAX, late)]);
  if (problem !== undefined) log.warn(`the last metrics or traces were not exported: ${problem}`);
}
