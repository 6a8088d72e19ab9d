import { SpanKind, trace, ROOT_CONTEXT, type Link, type SpanContext } from '@opentelemetry/api';
import type { Puller } from '../../nats/pull.ts';
import { LINKS_MAX, linksTo } from '../../telemetry/tracing.ts';
import type { FlushResult } from '../flush/flush.ts';
import { operation } from './operation.ts';
import type { FlushTimes } from '../flush/flush-times.ts';

const tracer = trace.getTracer('increment-mesh/counter');

/** Makes a span for each pull that received messages of sampled requests, with links to those. */
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

/** Makes spans for flushes and purges, after they ended. */
export interface FlushTracing {
  flushed: (result: FlushResult, times: FlushTimes) => void;
  purged: (durationMs: number) => void;
}

export function createFlushTracing(): FlushTracing {
  let unsettled: SpanContext[] = [];
  return {
    flushed: ({ messages, stepsMs, traceparents }, { durationMs }) => {
      const links = linksTo(traceparents);
      if (links.length === 0) return;
      const endTime = Date.now();
      const startTime = endTime - durationMs;
      const span = startSpan('process', { kind: SpanKind.CONSUMER, startTime, links, messages });
      // The steps are those of the last attempt, which succeeded and ended now.
      let stepAt = endTime - Object.values(stepsMs).reduce((sum, ms) => sum + ms, 0);
      const parent = trace.setSpan(ROOT_CONTEXT, span);
      for (const [step, ms] of Object.entries(stepsMs)) {
        tracer.startSpan(`flush ${step}`, { startTime: stepAt }, parent).end((stepAt += ms));
      }
      span.end(endTime);
      if (unsettled.length < LINKS_MAX) unsettled.push(span.spanContext());
    },
    purged: (durationMs) => {
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

function startSpan(name: 'receive' | 'process' | 'settle', options: OperationOptions) {
  const { kind, startTime, links, messages } = options;
  return tracer.startSpan(`${name} increments`, {
    root: true,
    kind,
    startTime,
    links,
    attributes: {
      ...operation(name),
      'messaging.operation.type': name,
      ...(messages !== undefined && { 'messaging.batch.message_count': messages }),
    },
  });
}
