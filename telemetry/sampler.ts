import { trace } from '@opentelemetry/api';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  SamplingDecision,
  TraceIdRatioBasedSampler,
  type Sampler,
} from '@opentelemetry/sdk-trace';
import { isSampled } from './tracing.ts';

/**
 * The sampler that `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` name, for requests. A span that
 * serves requests (a message, a flush) is sampled if one of them is; otherwise the trace of a sampled
 * request would end at its message.
 */
export function createSampler(environment: NodeJS.ProcessEnv): Sampler {
  const requests = createNamedSampler(environment);
  return {
    shouldSample: (context, traceId, name, kind, attributes, links) => {
      const isServing = links.length > 0 && trace.getSpanContext(context) === undefined;
      if (!isServing) return requests.shouldSample(context, traceId, name, kind, attributes, links);
      const isAnySampled = links.some((link) => isSampled(link.context));
      const { RECORD_AND_SAMPLED, NOT_RECORD } = SamplingDecision;
      return { decision: isAnySampled ? RECORD_AND_SAMPLED : NOT_RECORD };
    },
    toString: () => `Serving(${requests.toString()})`,
  };
}

/** @throws Error for a name outside OpenTelemetry's specification. */
function createNamedSampler(environment: NodeJS.ProcessEnv): Sampler {
  const name = environment['OTEL_TRACES_SAMPLER'] ?? 'parentbased_always_on';
  const root = createRootSampler(name.replace('parentbased_', ''), environment);
  return name.startsWith('parentbased_') ? new ParentBasedSampler({ root }) : root;
}

function createRootSampler(name: string, environment: NodeJS.ProcessEnv): Sampler {
  if (name === 'always_on') return new AlwaysOnSampler();
  if (name === 'always_off') return new AlwaysOffSampler();
  const ratio = Number(environment['OTEL_TRACES_SAMPLER_ARG'] ?? '1');
  if (name === 'traceidratio' && ratio >= 0 && ratio <= 1) {
    return new TraceIdRatioBasedSampler(ratio);
  }
  throw new Error(
    `OTEL_TRACES_SAMPLER must be always_on, always_off or traceidratio (OTEL_TRACES_SAMPLER_ARG from ` +
      `0 to 1), each with or without parentbased_ before it; it is "${name}" with ${ratio}`,
  );
}
