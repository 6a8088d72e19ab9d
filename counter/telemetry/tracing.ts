import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Context, Link, Span, SpanContext } from '@opentelemetry/api';
import type { Puller } from '../../nats/pull.ts';
import { INCREMENTS } from '../../nats/streams.ts';
import {
  LINKS_LEFT_OUT,
  LINKS_MAX,
  messageAttributes,
  readSampled,
} from '../../telemetry/tracing.ts';
import type { FlushResult } from '../flush/flush.ts';
import type { FlushTimes } from '../flush/flush-times.ts';
import type { TracedMessage } from '../flush/traced-messages.ts';
import { operation, type Operation } from './operation.ts';

/**
 * The most messages that the spans of a flush link to. With their events they take some 160 bytes each, and
 * collectors take 4 MiB at once by gRPC.
 */
const MESSAGES_MAX = 20 * LINKS_MAX;
/** The most spans for dead letters in a flush: far fewer than may wait for an export. */
const DEAD_LETTERS_MAX = LINKS_MAX;
/** Set where not every dead letter of a flush has a span: how many have none. */
const DEAD_LETTERS_LEFT_OUT = 'increment_mesh.dead_letters_left_out';

const SAMPLE_FEWER =
  'trace fewer requests: OTEL_TRACES_SAMPLER=parentbased_traceidratio with OTEL_TRACES_SAMPLER_ARG=0.01';

const tracer = trace.getTracer('increment-mesh/counter');

/** Logs a line that repeats only from time to time. */
type Warn = (line: string) => void;

/** Makes a span for each pull that received messages of sampled requests, with links to those. */
export function tracePuller(puller: Puller): Puller {
  return {
    ...puller,
    pull: async (limits, onDelivery) => {
      const startTime = Date.now();
      const links: Link[] = [];
      let messages = 0;
      const end = await puller.pull(limits, (delivery) => {
        messages++;
        const context = delivery.traceparent && readSampled(delivery.traceparent);
        if (context) links.push({ context });
        onDelivery(delivery);
      });
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

/** A message, and the span of its publisher, which is sampled. */
interface Sampled {
  message: TracedMessage;
  context: SpanContext;
}

export function createFlushTracing(warn: Warn): FlushTracing {
  let unsettled: Link[] = [];
  let leftOut = 0;
  return {
    flushed: (result, { durationMs }) => {
      const sampled = findSampled(result.traced);
      if (sampled.length === 0) return;
      const endTime = Date.now();
      const flush = traceFlush(result, { sampled, startTime: endTime - durationMs, endTime, warn });
      unsettled.push({ context: flush.spanContext() });
      if (unsettled.length <= LINKS_MAX) return;
      // Another service may settle for this one for as long as it runs.
      unsettled.shift();
      leftOut++;
    },
    purged: (durationMs) => {
      if (unsettled.length === 0) return;
      const startTime = Date.now() - durationMs;
      const kind = SpanKind.CLIENT;
      startSpan('settle', { kind, startTime, links: unsettled, leftOut }).end();
      unsettled = [];
      leftOut = 0;
    },
  };
}

function findSampled(traced: TracedMessage[]): Sampled[] {
  const sampled: Sampled[] = [];
  for (const message of traced) {
    const context = readSampled(message.traceparent);
    if (context !== undefined) sampled.push({ message, context });
  }
  return sampled;
}

interface TracedFlush {
  sampled: Sampled[];
  startTime: number;
  endTime: number;
  warn: Warn;
}

/**
 * One trace for a flush, of as many spans as the links to its messages need. The first has the steps below it.
 * Dead letters go into the traces of their messages.
 */
function traceFlush(result: FlushResult, { sampled, warn, startTime, endTime }: TracedFlush): Span {
  const followed = sampled.slice(0, MESSAGES_MAX);
  const leftOut = sampled.length - followed.length;
  if (leftOut > 0)
    warn(
      `a flush has more traced messages than the ${MESSAGES_MAX} that its spans link to, so some can't be followed to it: ${SAMPLE_FEWER}`,
    );
  const others = Math.max(0, followed.length - LINKS_MAX);
  const first = startProcess(followed.slice(0, LINKS_MAX), {
    startTime,
    endTime,
    messages: result.settled - others,
    leftOut,
  });
  const inFlush = trace.setSpan(ROOT_CONTEXT, first);
  for (let from = LINKS_MAX; from < followed.length; from += LINKS_MAX) {
    const part = followed.slice(from, from + LINKS_MAX);
    const times = { startTime, endTime };
    startProcess(part, { ...times, messages: part.length, parent: inFlush }).end(endTime);
  }
  // The steps are those of the last attempt, which succeeded and ended now.
  let stepAt = endTime - Object.values(result.stepsMs).reduce((sum, ms) => sum + ms, 0);
  for (const [step, ms] of Object.entries(result.stepsMs)) {
    tracer.startSpan(`flush ${step}`, { startTime: stepAt }, inFlush).end((stepAt += ms));
  }
  const untold = traceDeadLetters(sampled, { flush: first, startTime, endTime });
  if (untold > 0) {
    first.setAttribute(DEAD_LETTERS_LEFT_OUT, untold);
    warn(
      `a flush has more dead letters than the ${DEAD_LETTERS_MAX} that get a span: ${SAMPLE_FEWER}`,
    );
  }
  first.end(endTime);
  return first;
}

interface ProcessOptions {
  startTime: number;
  endTime: number;
  messages: number;
  leftOut?: number;
  parent?: Context;
}

/** With an event for each message: Jaeger finds a span by attributes of its events, but not of its links. */
function startProcess(followed: Sampled[], { endTime, ...options }: ProcessOptions): Span {
  const links = followed.map(({ context }) => ({ context }));
  const span = startSpan('process', { kind: SpanKind.CONSUMER, links, ...options });
  for (const { message } of followed) span.addEvent('message', messageAttributes(message), endTime);
  return span;
}

/** @returns how many dead letters have no span. */
function traceDeadLetters(
  sampled: Sampled[],
  { flush, startTime, endTime }: { flush: Span; startTime: number; endTime: number },
): number {
  let count = 0;
  for (const { message, context } of sampled) {
    if (message.reasons.length === 0) continue;
    const parent = trace.setSpanContext(ROOT_CONTEXT, context);
    for (const reason of message.reasons) {
      if (++count > DEAD_LETTERS_MAX) continue;
      const links = [{ context: flush.spanContext() }];
      const kind = SpanKind.INTERNAL;
      const span = startSpan('dead-letter', { kind, startTime, links, parent });
      span.setAttributes({ ...messageAttributes(message), 'error.type': reason });
      span.setStatus({ code: SpanStatusCode.ERROR, message: `can't be counted: ${reason}` });
      span.end(endTime);
    }
  }
  return Math.max(0, count - DEAD_LETTERS_MAX);
}

interface OperationOptions {
  kind: SpanKind;
  startTime: number;
  links: Link[];
  /** How many links there is no room for. */
  leftOut?: number;
  /** Of a batch. */
  messages?: number;
  /** Without one the span starts a trace of its own. */
  parent?: Context;
}

function startSpan(name: Operation, options: OperationOptions): Span {
  const { kind, startTime, links, messages, parent } = options;
  const kept = links.slice(0, LINKS_MAX);
  const leftOut = (options.leftOut ?? 0) + links.length - kept.length;
  return tracer.startSpan(
    `${name} ${INCREMENTS}`,
    {
      kind,
      startTime,
      links: kept,
      attributes: {
        ...operation(name),
        ...(name !== 'dead-letter' && { 'messaging.operation.type': name }),
        ...(messages !== undefined && { 'messaging.batch.message_count': messages }),
        ...(leftOut > 0 && { [LINKS_LEFT_OUT]: leftOut }),
      },
    },
    parent ?? ROOT_CONTEXT,
  );
}
