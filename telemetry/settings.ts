import { Type, type Static, type TSchema } from 'typebox';
import { readEnvironment } from '../schema/settings/environment.ts';

const ENDPOINT_RULE = 'it must be a URL such as http://collector:4318';
const DAY_MS = 86_400_000;

const METRICS_EXPORTERS =
  /^(?:none|(?:prometheus|otlp|console)(?:\s*,\s*(?:prometheus|otlp|console))*)$/;
/** `name=value` pairs, with `,` and `=` percent-encoded. */
const ATTRIBUTES = /^\s*[^\s,=]+\s*=[^,=]*(?:,\s*[^\s,=]+\s*=[^,=]*)*,?\s*$/;

const milliseconds = (description: string, fallback: number) =>
  Type.Integer({ default: fallback, minimum: 1, maximum: DAY_MS, description });

/** OpenTelemetry's variables, as far as services read them. The documented table is made from these. */
export const TelemetrySettings = Type.Object({
  OTEL_METRICS_EXPORTER: Type.Refine(
    Type.String({
      default: 'prometheus',
      description: '`prometheus`, `otlp`, `console`, several with commas between, or `none`',
    }),
    (list) => METRICS_EXPORTERS.test(list),
    () => 'it may list prometheus, otlp and console, or be none',
  ),
  OTEL_EXPORTER_PROMETHEUS_HOST: Type.String({
    default: '127.0.0.1',
    description: 'Address of `/metrics`; 0.0.0.0 in the image',
  }),
  OTEL_EXPORTER_PROMETHEUS_PORT: Type.Integer({
    default: 9464,
    minimum: 1,
    maximum: 65_535,
    description: 'Port of `/metrics`; each service on a machine needs its own',
  }),
  OTEL_METRIC_EXPORT_INTERVAL: milliseconds('Milliseconds between two exports by OTLP', 60_000),
  OTEL_METRIC_EXPORT_TIMEOUT: milliseconds('Milliseconds that an export may take', 30_000),
  OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: Type.String({
    default: 'cumulative',
    enum: ['cumulative', 'delta', 'lowmemory'],
    description: 'Whether counts go by OTLP since the start, or since the export before',
  }),
  OTEL_TRACES_EXPORTER: Type.String({
    default: 'none',
    enum: ['otlp', 'console', 'none'],
    description: '`otlp` turns traces on',
  }),
  OTEL_TRACES_SAMPLER: Type.String({
    default: 'parentbased_always_on',
    enum: ['always_on', 'always_off', 'traceidratio'].flatMap((name) => [
      name,
      `parentbased_${name}`,
    ]),
    description: 'Which requests are traced',
  }),
  OTEL_TRACES_SAMPLER_ARG: Type.Refine(
    Type.String({ default: '1', description: 'The ratio of `traceidratio`, from 0 to 1' }),
    (text) => text.trim() !== '' && Number(text) >= 0 && Number(text) <= 1,
    () => 'it must be a number from 0 to 1',
  ),
  OTEL_BSP_SCHEDULE_DELAY: milliseconds('Milliseconds between two exports of spans', 5_000),
  OTEL_BSP_EXPORT_TIMEOUT: milliseconds('Milliseconds that such an export may take', 30_000),
  OTEL_BSP_MAX_QUEUE_SIZE: Type.Integer({
    default: 2_048,
    minimum: 1,
    maximum: 1_000_000,
    description: 'Spans that may wait for an export; more are dropped',
  }),
  OTEL_BSP_MAX_EXPORT_BATCH_SIZE: Type.Integer({
    default: 512,
    minimum: 1,
    maximum: 1_000_000,
    description: 'Spans in an export',
  }),
  ...perSignal('ENDPOINT', 'Where OTLP goes; by default to this machine', (description) =>
    Type.Refine(Type.String({ description }), isEndpoint, () => ENDPOINT_RULE),
  ),
  ...perSignal('PROTOCOL', 'How; by default `http/protobuf`', (description) =>
    Type.String({ enum: ['grpc', 'http/json', 'http/protobuf'], description }),
  ),
  ...perSignal('TIMEOUT', 'Milliseconds that OTLP may take, 10 000 by default', (description) =>
    Type.Integer({ minimum: 1, maximum: DAY_MS, description }),
  ),
  ...perSignal('COMPRESSION', 'By default `none`', (description) =>
    Type.String({ enum: ['gzip', 'none'], description }),
  ),
  OTEL_SERVICE_NAME: Type.Optional(
    Type.String({
      description:
        "The service's name; by default that of OTEL_RESOURCE_ATTRIBUTES, else gateway or counter",
    }),
  ),
  OTEL_RESOURCE_ATTRIBUTES: Type.Optional(
    Type.Refine(
      Type.String({
        description:
          'More about the process, `name=value` with commas between. `service.instance.id` is else made at the start',
      }),
      isAttributes,
      () => 'it must be a list like deployment.environment.name=test,service.namespace=counting',
    ),
  ),
  OTEL_SDK_DISABLED: Type.String({
    default: 'false',
    enum: ['true', 'false'],
    description: '`true` turns OpenTelemetry off',
  }),
});
export type TelemetrySettings = Static<typeof TelemetrySettings>;

/**
 * Reads what OpenTelemetry's SDK reads too, but would ignore where it is wrong.
 *
 * @throws ConfigurationError with every problem at once.
 */
export function readTelemetrySettings(environment: NodeJS.ProcessEnv): TelemetrySettings {
  return readEnvironment(TelemetrySettings, environment);
}

type PerSignal<Name extends string, Schema extends TSchema> = Record<
  `OTEL_EXPORTER_OTLP_${'' | 'METRICS_' | 'TRACES_'}${Name}`,
  ReturnType<typeof Type.Optional<Schema>>
>;

/** A setting for OTLP, and the same for one signal, which comes first. */
function perSignal<Name extends string, Schema extends TSchema>(
  name: Name,
  description: string,
  make: (description: string) => Schema,
): PerSignal<Name, Schema> {
  const of = (signal: string, text: string) => [
    `OTEL_EXPORTER_OTLP_${signal}${name}`,
    Type.Optional(make(text)),
  ];
  return Object.fromEntries([
    of('', description),
    of('METRICS_', 'The same, for metrics only'),
    of('TRACES_', 'The same, for traces only'),
  ]) as PerSignal<Name, Schema>;
}

function isEndpoint(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}

function isAttributes(text: string): boolean {
  if (!ATTRIBUTES.test(text)) return false;
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
