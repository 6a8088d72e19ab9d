/*
 * Traces follow an increment by W3C trace contexts: HTTP header, NATS header, flush. What serves many
 * at once (a message, a flush) is a trace of its own with links to what it serves.
 */
import {
  context,
  propagation,
  ROOT_CONTEXT,
  trace,
  TraceFlags,
  type Link,
  type SpanContext,
} from '@opentelemetry/api';

/** A span keeps this many links at most. */
export const LINKS_MAX = 128;

/** Asked once, at the start: with traces off, nothing of this is in anybody's way. */
export function isTracing(environment: NodeJS.ProcessEnv = process.env): boolean {
  const exporter = environment['OTEL_TRACES_EXPORTER'] ?? 'none';
  return exporter !== 'none' && environment['OTEL_SDK_DISABLED'] !== 'true';
}

/** The span that is active, as a `traceparent` header has it; undefined where there is none. */
export function activeTraceparent(): string | undefined {
  return writeTraceparent(trace.getSpanContext(context.active()));
}

export function writeTraceparent(span: SpanContext | undefined): string | undefined {
  if (span === undefined) return undefined;
  const carrier: Record<string, string> = {};
  propagation.inject(trace.setSpanContext(ROOT_CONTEXT, span), carrier);
  return carrier['traceparent'];
}

/** Links to those of the spans that are sampled, the first of them where there are many. */
export function linksTo(traceparents: Iterable<string | undefined>): Link[] {
  const links: Link[] = [];
  for (const traceparent of traceparents) {
    const context = traceparent === undefined ? undefined : readTraceparent(traceparent);
    if (context !== undefined && isSampled(context)) links.push({ context });
    if (links.length === LINKS_MAX) break;
  }
  return links;
}

export function isSampled({ traceFlags }: SpanContext): boolean {
  return (traceFlags & TraceFlags.SAMPLED) !== 0;
}

/** Whoever sent it may have written anything; what is no trace context is none. */
function readTraceparent(traceparent: string): SpanContext | undefined {
  return trace.getSpanContext(propagation.extract(ROOT_CONTEXT, { traceparent }));
}
