import { SpanKind, trace } from '@opentelemetry/api';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  SamplingDecision,
  TraceIdRatioBasedSampler,
  type Sampler,
} from '@opentelemetry/sdk-trace';
import type { TelemetrySettings } from './settings.ts';
import { isSampled } from './tracing.ts';

/**
 * The sampler that `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` name, for requests. Any other span
 * serves requests (a message, a flush, a step of it): it is sampled if its parent or one of its links is;
 * otherwise the trace of a sampled request would end at its message.
 */
export function createSampler(settings: TelemetrySettings): Sampler {
  const requests = createNamedSampler(settings);
  return {
    shouldSample: (context, traceId, name, kind, attributes, links) => {
      if (kind === SpanKind.SERVER)
        return requests.shouldSample(context, traceId, name, kind, attributes, links);
      const parent = trace.getSpanContext(context);
      const isAnySampled =
        (parent !== undefined && isSampled(parent)) ||
        links.some((link) => isSampled(link.context));
      const { RECORD_AND_SAMPLED, NOT_RECORD } = SamplingDecision;
      return { decision: isAnySampled ? RECORD_AND_SAMPLED : NOT_RECORD };
    },
    toString: () => `Serving(${requests.toString()})`,
  };
}

function createNamedSampler({
  OTEL_TRACES_SAMPLER: name,
  OTEL_TRACES_SAMPLER_ARG: ratio,
}: TelemetrySettings): Sampler {
  const root = createRootSampler(name.replace('parentbased_', ''), Number(ratio));
  return name.startsWith('parentbased_') ? new ParentBasedSampler({ root }) : root;
}

function createRootSampler(name: string, ratio: number): Sampler {
  if (name === 'always_on') return new AlwaysOnSampler();
  if (name === 'always_off') return new AlwaysOffSampler();
  return new TraceIdRatioBasedSampler(ratio);
}
