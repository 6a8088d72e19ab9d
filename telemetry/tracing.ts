/*
 * Traces follow an increment by W3C trace contexts: HTTP header, NATS header, flush. A span that serves
 * many requests (a message, a flush) starts a trace of its own, with links to them.
 */
import { TraceFlags } from '@opentelemetry/api';
import type { Attributes, SpanContext } from '@opentelemetry/api';
import { PACK_INCREMENTS_MAX } from '../schema/message/envelope.ts';

/** A span has this many links at most, so a message links to every request that shares it. */
export const LINKS_MAX = PACK_INCREMENTS_MAX;

/** Of the SDK, which would drop links and events above 128. */
export const SPAN_LIMITS = { linkCountLimit: LINKS_MAX, eventCountLimit: LINKS_MAX };

/** Set where a span can't link to everything that it serves: to how many it does not. */
export const LINKS_LEFT_OUT = 'increment_mesh.links_left_out';

/** Checked once, at the start: with traces off, none of this runs. */
export function isTracing(environment: NodeJS.ProcessEnv = process.env): boolean {
  // Empty is not set.
  const exporter = environment['OTEL_TRACES_EXPORTER'] || 'none';
  return exporter !== 'none' && environment['OTEL_SDK_DISABLED'] !== 'true';
}

/** By these a message is found in every trace that it has a part in. */
export function messageAttributes({ id, sequence }: { id: string; sequence: number }): Attributes {
  return {
    // Of a message that is refused as a whole it is not known.
    ...(id !== '' && { 'messaging.message.id': id }),
    'messaging.nats.stream.sequence': sequence,
  };
}

/*
 * The header of a message is a W3C traceparent whatever OTEL_PROPAGATORS says of requests. It is read many
 * thousand times in a flush, for which the API's propagation takes too long.
 */
const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/;

export function writeTraceparent({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}

/** Undefined if it is not sampled. The sender may have written anything; what is invalid is ignored. */
export function readSampled(traceparent: string): SpanContext | undefined {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(traceparent) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  const span = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  return isSampled(span) ? span : undefined;
}

export function isSampled({ traceFlags }: SpanContext): boolean {
  return (traceFlags & TraceFlags.SAMPLED) !== 0;
}
