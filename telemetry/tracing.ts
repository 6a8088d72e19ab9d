/*
 * Traces follow an increment by W3C trace contexts: HTTP header, NATS header, flush. A span that serves
 * many requests (a message, a flush) starts a trace of its own, with links to them.
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

/** Checked once, at the start: with traces off, none of this runs. */
export function isTracing(environment: NodeJS.ProcessEnv = process.env): boolean {
  // Empty is not set.
  const exporter = environment['OTEL_TRACES_EXPORTER'] || 'none';
  return exporter !== 'none' && environment['OTEL_SDK_DISABLED'] !== 'true';
}

/** The active span, as a `traceparent` header; undefined if there is none. */
export function activeTraceparent(): string | undefined {
  return writeTraceparent(trace.getSpanContext(context.active()));
}

export function writeTraceparent(span: SpanContext | undefined): string | undefined {
  if (span === undefined) return undefined;
  const carrier: Record<string, string> = {};
  propagation.inject(trace.setSpanContext(ROOT_CONTEXT, span), carrier);
  return carrier['traceparent'];
}

/** Links to those of the spans that are sampled, LINKS_MAX at most. */
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

/** The sender may have written anything; an invalid trace context is ignored. */
function readTraceparent(traceparent: string): SpanContext | undefined {
  return trace.getSpanContext(propagation.extract(ROOT_CONTEXT, { traceparent }));
}
