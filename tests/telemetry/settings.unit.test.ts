import t from 'tap';
import { createSampler } from '../../telemetry/sampler.ts';
import { readTelemetrySettings, TelemetrySettings } from '../../telemetry/settings.ts';
import { isTracing } from '../../telemetry/tracing.ts';
import { checkBounds, problemsOf } from '../schema/settings/problems-of.ts';

const WRONG: Record<string, string[]> = {
  OTEL_METRICS_EXPORTER: ['zipkin', 'none,otlp', 'otlp,', 'Otlp'],
  OTEL_EXPORTER_PROMETHEUS_PORT: ['0', '99999', 'metrics'],
  OTEL_METRIC_EXPORT_INTERVAL: ['5s', '0', '-1', '1.5'],
  OTEL_METRIC_EXPORT_TIMEOUT: ['never'],
  OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: ['diff'],
  OTEL_TRACES_EXPORTER: ['jaeger', 'zipkin', 'otlp,console'],
  OTEL_TRACES_SAMPLER: ['always', 'parentbased', 'jaeger_remote'],
  OTEL_TRACES_SAMPLER_ARG: ['1.5', '-0.1', 'half', ' '],
  OTEL_BSP_SCHEDULE_DELAY: ['soon'],
  OTEL_EXPORTER_OTLP_ENDPOINT: ['collector', 'collector:4318', 'ftp://collector'],
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: ['//collector'],
  OTEL_EXPORTER_OTLP_PROTOCOL: ['http', 'thrift'],
  OTEL_EXPORTER_OTLP_METRICS_TIMEOUT: ['10s'],
  OTEL_EXPORTER_OTLP_COMPRESSION: ['zstd'],
  OTEL_RESOURCE_ATTRIBUTES: ['service.name', 'a=b=c', '=b', 'a=%zz', 'a=b,,c'],
  OTEL_SDK_DISABLED: ['yes'],
};

const RIGHT: NodeJS.ProcessEnv = {
  OTEL_METRICS_EXPORTER: 'prometheus, otlp',
  OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: 'delta',
  OTEL_TRACES_EXPORTER: 'otlp',
  OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
  OTEL_TRACES_SAMPLER_ARG: '0.01',
  OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318',
  OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
  OTEL_RESOURCE_ATTRIBUTES: 'service.namespace=count%2Cing, deployment.environment.name = test,',
  OTEL_SDK_DISABLED: 'false',
};

void t.test('every wrong variable of OpenTelemetry is one line, all at once', (t) => {
  for (const [name, values] of Object.entries(WRONG)) {
    for (const value of values) {
      const problems = problemsOf(() => readTelemetrySettings({ ...RIGHT, [name]: value }));
      t.match(problems, [new RegExp(`^${name} is .+`)], `${name}=${value}`);
      t.equal(problems.length, 1, `${name}=${value}`);
    }
  }
  const all = Object.fromEntries(Object.entries(WRONG).map(([name, [value]]) => [name, value]));
  const problems = problemsOf(() => readTelemetrySettings(all));
  t.equal(problems.length, Object.keys(WRONG).length);
  const secret = { OTEL_EXPORTER_OTLP_ENDPOINT: 'user:secret@collector' };
  t.notMatch(problemsOf(() => readTelemetrySettings(secret)).join('\n'), 'secret');
  checkBounds(t, TelemetrySettings, {});
  t.end();
});

void t.test('an empty variable is as one that is not set', (t) => {
  const names = Object.keys(TelemetrySettings.properties);
  const empty = Object.fromEntries(names.map((name) => [name, '']));
  t.strictSame(readTelemetrySettings(empty), readTelemetrySettings({}));
  t.equal(isTracing(empty), false);
  t.match(readTelemetrySettings({}), {
    OTEL_METRICS_EXPORTER: 'prometheus',
    OTEL_TRACES_EXPORTER: 'none',
  });
  t.end();
});

void t.test('the sampler is the one that is named', (t) => {
  t.strictSame(
    problemsOf(() => readTelemetrySettings(RIGHT)),
    [],
  );
  const describe = (environment: NodeJS.ProcessEnv) =>
    createSampler(readTelemetrySettings(environment)).toString();
  t.match(describe(RIGHT), /ParentBased.*TraceIdRatioBased\{0\.01\}/);
  t.match(describe({ OTEL_TRACES_SAMPLER: 'always_off' }), /^Serving\(AlwaysOffSampler\)$/);
  t.match(describe({}), /ParentBased.*root=AlwaysOnSampler/);
  t.end();
});
