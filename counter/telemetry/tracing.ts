import { SpanKind, trace, ROOT_CONTEXT, type Link, type SpanContext } from '@opentelemetry/api';
import type { Puller } from '../../nats/pull.ts';
import { COUNTER, INCREMENTS } from '../../nats/streams.ts';
import { LINKS_MAX, linksTo } from '../../telemetry/tracing.ts';
import type { CounterMetrics } from './metrics.ts';

const tracer = trace.getTracer('increment-mesh/counter');

/** Makes a span of each pull that brought messages of sampled requests, with links to those. */
export function tracePuller(puller: Puller): Puller {
  return {
    ...puller,
    pull: async (limits, onDelivery) => {
      const startTime = Date.now();
      const traceparents: string[] = [];
      let messages = 0;
      const end = await puller.pull(limits, (delivery) => {
        messages++;
        const { traceparent } = delivery;
        if (traceparent !== undefined && traceparents.length < LINKS_MAX) {
          traceparents.push(traceparent);
        }
        onDelivery(delivery);
      });
      const links = linksTo(traceparents);
      if (links.length > 0) {
        startSpan('receive', { kind: SpanKind.CLIENT, startTime, links, messages }).end();
      }
      return end;
    },
  };
}

/** Makes spans of flushes and of purges from what the metrics are told of them, afterwards. */
export function traceFlushes(metrics: CounterMetrics): CounterMetrics {
  let unsettled: SpanContext[] = [];
  return {
    ...metrics,
    flushed: (result, times) => {
      metrics.flushed(result, times);
      const links = linksTo(result.traceparents);
      if (links.length === 0) return;
      const { messages, stepsMs } = result;
      const endTime = Date.now();
      const startTime = endTime - times.durationMs;
      const span = startSpan('process', { kind: SpanKind.CONSUMER, startTime, links, messages });
      // The last try is what succeeded; its steps end with it.
      let stepAt = endTime - Object.values(stepsMs).reduce((sum, ms) => sum + ms, 0);
      const parent = trace.setSpan(ROOT_CONTEXT, span);
      for (const [step, ms] of Object.entries(stepsMs)) {
        tracer.startSpan(`flush ${step}`, { startTime: stepAt }, parent).end((stepAt += ms));
      }
      span.end(endTime);
      if (unsettled.length < LINKS_MAX) unsettled.push(span.spanContext());
    },
    purged: (durationMs) => {
      metrics.purged(durationMs);
      if (unsettled.length === 0) return;
      const links = unsettled.map((context) => ({ context }));
      const startTime = Date.now() - durationMs;
      startSpan('settle', { kind: SpanKind.CLIENT, startTime, links }).end();
      unsettled = [];
    },
  };
}

interface OperationOptions {
  kind: SpanKind;
  startTime: number;
  links: Link[];
  messages?: number;
}

function startSpan(operation: 'receive' | 'process' | 'settle', options: OperationOptions) {
  const { kind, startTime, links, messages } = options;
  return tracer.startSpan(`${operation} increments`, {
    root: true,
    kind,
    startTime,
    links,
    attributes: {
      'messaging.system': 'nats',
      'messaging.operation.name': operation,
      'messaging.operation.type': operation,
      'messaging.destination.name': INCREMENTS,
      'messaging.consumer.group.name': COUNTER,
      ...(messages !== undefined && { 'messaging.batch.message_count': messages }),
    },
  });
}
